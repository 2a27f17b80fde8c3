"""For agents: the questions of the API as tools of the Model Context Protocol, for reading only."""
