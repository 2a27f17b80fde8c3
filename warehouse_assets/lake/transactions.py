"""Delta application transactions: how a table remembers which units of its source it holds."""

from collections.abc import Mapping

from deltalake import CommitProperties, Transaction

Transactions = Mapping[str, int]
"""Application id -> version. The id names a unit of a source, the version is its number."""


def commit_properties(transactions: Transactions) -> CommitProperties:
    """Properties of a commit that carries `transactions`."""
    return CommitProperties(
        app_transactions=[Transaction(app_id, version) for app_id, version in transactions.items()]
    )
