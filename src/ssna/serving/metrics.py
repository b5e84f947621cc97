"""What Prometheus reads from ``/metrics``."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ssna.serving.service import Service

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """The figures of one server, in a registry of its own."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.registry = CollectorRegistry()
        self._requests = Counter("ssna_requests", "Requests answered.", ["route", "status"], registry=self.registry)
        self._seconds = Histogram(
            "ssna_request_seconds", "From a request to its answer.", ["route"], buckets=SECONDS, registry=self.registry
        )
        self._batches = Histogram("ssna_batch_size", "Requests ranked together.", buckets=SIZES, registry=self.registry)
        gauges = {
            "ssna_queue_depth": ("Requests that wait to be ranked.", lambda: service.inference.queued),
            "ssna_catalogue_items": ("Items that can be recommended.", lambda: len(service.snapshot)),
            "ssna_added_items": ("Items known by their texts alone.", lambda: service.snapshot.added),
            "ssna_ranking_process": (
                "1, or 0 while the server ranks by itself.",
                lambda: service.inference.ranker_alive,
            ),
            "ssna_run_version": ("One more with each reload.", lambda: service.snapshot.version),
        }
        for name, (meaning, read) in gauges.items():
            Gauge(name, meaning, registry=self.registry).set_function(read)
        self._count = cache(self._requests.labels)
        self._time = cache(self._seconds.labels)

    def observe(self, route: str, status: int, seconds: float, batch: int | None) -> None:
        """One request."""
        self._count(route, str(status)).inc()
        self._time(route).observe(seconds)
        if batch is not None:
            self._batches.observe(batch)

    def text(self) -> bytes:
        """In Prometheus' text format."""
        return generate_latest(self.registry)
