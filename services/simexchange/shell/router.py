"""Which handler answers which path: an exact look-up, then templates of the same length."""

from __future__ import annotations

from collections.abc import Iterable

from services.simexchange.shell.door import Route


class Router:
    """Routes by method and path below the API's root."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[tuple[str, str], Route] = {}
        self._templates: dict[tuple[str, int], list[tuple[list[str], Route]]] = {}
        for route in routes:
            if "{}" not in route.template:
                self._exact[route.method, route.template] = route
                continue
            segments = route.template.split("/")
            self._templates.setdefault((route.method, len(segments)), []).append((segments, route))

    def find(self, method: str, path: str) -> tuple[Route, tuple[str, ...]] | None:
        """Return the route and the values of its template, or None."""
        route = self._exact.get((method, path))
        if route is not None:
            return route, ()
        segments = path.split("/")
        for wanted, candidate in self._templates.get((method, len(segments)), ()):
            pairs = list(zip(wanted, segments, strict=True))
            if all(want in ("{}", have) for want, have in pairs):
                return candidate, tuple(have for want, have in pairs if want == "{}")
        return None
