"""Latitude bands: parts of the grid that are read separately."""

from dataclasses import dataclass

from airmass.fields.grid import LatLonGrid


@dataclass(frozen=True)
class LatitudeBand:
    """A range of consecutive nodes, and the rows of the grid that contain it, which are read."""

    first: int
    stop: int
    longitudes: int

    @classmethod
    def of(cls, nodes: slice, grid: LatLonGrid) -> "LatitudeBand":
        first, stop, step = nodes.indices(grid.size)
        if step != 1 or stop <= first:
            raise ValueError(f"nodes are {nodes}, expected a run of at least one")
        return cls(first, stop, grid.shape[1])

    @property
    def size(self) -> int:
        return self.stop - self.first

    @property
    def latitudes(self) -> slice:
        return slice(self.first // self.longitudes, -(-self.stop // self.longitudes))

    @property
    def rows(self) -> int:
        return self.latitudes.stop - self.latitudes.start

    @property
    def nodes(self) -> slice:
        """The nodes of the rows."""
        return slice(self.latitudes.start * self.longitudes, self.latitudes.stop * self.longitudes)

    @property
    def inner(self) -> slice:
        """The slice of the nodes among those of the rows."""
        start = self.first - self.latitudes.start * self.longitudes
        return slice(start, start + self.size)
