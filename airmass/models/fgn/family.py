"""Functional generative networks as a family of models."""

from airmass.fields.task import Task
from airmass.models.family import PublishedLayout
from airmass.models.fgn.settings import FGNSettings
from airmass.models.members_family import MembersFamily


def _read_published(path, config):
    from airmass.models.fgn.published import read_published

    return read_published(path, config)


class FGNFamily(MembersFamily):
    name = "fgn"
    title = "FGN"
    settings = FGNSettings
    lead_time = "15d"
    may_be_missing = True
    saves_in_bfloat16 = True
    published = PublishedLayout("params:multimodality_forward/", _read_published, configured=True)

    def network(self, task: Task, settings: FGNSettings, key):
        from airmass.models.fgn.model import FGNNetwork, sizes

        return FGNNetwork(settings, *sizes(task), key=key)

    def attention(self, settings: FGNSettings, precision: str, gradient: bool = False):
        from airmass.models.nn.attention_choice import attention_here

        return attention_here(settings, precision, gradient)

    def build(self, trained, static, precision="float32", parts=1, attend=None):
        from airmass.models.fgn.model import fgn

        return fgn(trained, static, precision, parts, attend)

    def footprint(self, settings: FGNSettings, sizes):
        from airmass.models.fgn.footprint import footprint

        return footprint(settings, sizes)

    def update_costs(self, settings: FGNSettings, work):
        from airmass.models.fgn.footprint import update_costs

        return update_costs(settings, work)

    def parameter_layout(self, task: Task, settings: FGNSettings):
        from airmass.models.transfer import ParameterLayout, input_channels, output_channels

        return ParameterLayout(
            tuple(input_channels(task, noisy=False)),
            tuple(output_channels(task)),
            first=("encoder.embed_grid.layers.0.weight",),
            last=f"decoder.output.layers.{settings.hidden_layers}.",
            stacked="transformer.blocks.",
            depth="layers",
            closing=tuple(f".{part}.{leaf}" for part in ("attended", "down") for leaf in ("weight", "bias")),
            fixed=(
                *("width", "hidden_layers", "heads", "feedforward", "edge_width"),
                *("noise_channels", "condition", "divisor"),
            ),
        )


FAMILY = FGNFamily()
