"""Delta application transactions: how a table remembers which units of its source it holds."""

from collections.abc import Mapping

from deltalake import CommitProperties, Transaction

Transactions = Mapping[str, int]
"""Application id -> version. The id names a unit of a source, the version is its number."""


def commit_properties(transactions: Transactions) -> CommitProperties:
    """Properties of a commit that carries `transactions` and is the next one or none.

    Of its own accord Delta would let additions of several writers through, one after the other,
    though each has decided what to add without knowing of the others.
    """
    return CommitProperties(
        max_commit_retries=0,
        app_transactions=[Transaction(app_id, version) for app_id, version in transactions.items()],
    )
