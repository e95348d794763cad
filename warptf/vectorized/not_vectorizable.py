"""The error of a function that cannot be computed for all tasks at once."""


class NotVectorizable(Exception):
    """Says which operation cannot be computed for all tasks at once, and why.

    Args:
        operation: type of the operation.
        scope: its name in the graph, which begins with the layers it stands in.
        reason: why not.
    """

    def __init__(self, operation: str, scope: str, reason: str) -> None:
        super().__init__(f"operation {operation} of {scope!r} {reason}")
        self.operation = operation
        self.scope = scope
        self.reason = reason
