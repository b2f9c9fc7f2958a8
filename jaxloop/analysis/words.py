"""The question, and small helpers of sentences."""

QUESTION = (
    "When each generation of models is trained on data that the last generation made, "
    "does bias grow?"
)
ENOUGH_SEEDS = 10  # fewer are named as a reason why a trend cannot be told


def listed_words(items: list[str]) -> str:
    """ "a, b and c"."""
    return " and ".join(filter(None, (", ".join(items[:-1]), items[-1])))
