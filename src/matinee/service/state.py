"""What the requests of one process share."""

from dataclasses import dataclass
from types import SimpleNamespace

from fastapi import Request

from matinee.service.measures import Measures
from matinee.service.served import Served
from matinee.service.settings import ServiceSettings
from matinee.service.store.store import Store


@dataclass
class ServiceState:
    """The settings, the store, and the run that is served now: a newer one takes its place."""

    settings: ServiceSettings
    store: Store
    measures: Measures
    secret: bytes  # by which the cookies of the page are signed
    served: Served | None = None  # until it is loaded and warm

    def page_item(self, item_id: str) -> SimpleNamespace | None:
        """An item as a page tells of it; None if there is none, or no run yet."""
        if self.served is None:
            return None
        code = self.served.code_or_none(item_id)
        return None if code is None else SimpleNamespace(**self.served.describe(code))

    def serve(self, served: Served) -> None:
        """Answer from this run from now on."""
        self.served = served
        self.measures.trained.set(served.trained_at.timestamp())


async def state_of(request: Request) -> ServiceState:
    """That of the application, as a dependency."""
    return state_in(request)


def state_in(request: Request) -> ServiceState:
    """The same for routes that are asked much: each dependency takes time of its own."""
    state = request.app.state.service
    assert isinstance(state, ServiceState)  # noqa: S101
    return state
