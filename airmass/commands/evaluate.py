"""`airmass evaluate F.zarr… --truth STORE --out DIR`."""

from airmass.commands.options import parse
from airmass.core.errors import one_line
from airmass.evaluation.request import EvaluationRequest


def run(arguments: list[str]) -> None:
    request = parse(EvaluationRequest, "airmass evaluate", arguments)

    from airmass.evaluation.evaluate import evaluate

    evaluate(request)
    print(one_line(f"scores: {request.output / 'scores.json'}"))
