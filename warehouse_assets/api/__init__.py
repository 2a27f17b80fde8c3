"""The service: the REST API and the pages, over the warehouse and the lake."""
