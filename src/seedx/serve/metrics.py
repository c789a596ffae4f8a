"""What `/metrics` shows, in the form of Prometheus. Each server has a registry of its own."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300)
ROWS = (1, 2, 4, 8, 16, 32, 64)


class Metrics:
    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "seedx_requests", "Requests by endpoint and status", ["endpoint", "status"], registry=self.registry
        )
        self.latency = Histogram(
            "seedx_request_seconds",
            "From a request's arrival to its end",
            ["endpoint"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.first = Histogram(
            "seedx_first_event_seconds", "To the first text or image", buckets=SECONDS, registry=self.registry
        )
        self.waiting = Gauge("seedx_waiting", "Replies that wait for a place in the batch", registry=self.registry)
        self.running = Gauge("seedx_running", "Replies in the batch", registry=self.registry)
        self.drawing = Gauge("seedx_drawing", "Images that are being drawn, or wait for it", registry=self.registry)
        self.batch = Histogram(
            "seedx_batch_size",
            "Replies of a pass by kind (prompt, span, token), or images drawn together",
            ["kind"],
            buckets=ROWS,
            registry=self.registry,
        )
        self.seconds = Histogram(
            "seedx_pass_seconds",
            "Of one pass by kind: encode, prompt, span, token, image, decode",
            ["kind"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.tokens = Counter(
            "seedx_tokens", "Tokens by kind: prompt, cached (of the prompt), reply", ["kind"], registry=self.registry
        )
        self.images = Counter("seedx_images", "Images drawn", registry=self.registry)
        self.cache = Counter(
            "seedx_prefix_cache",
            "Conversations that were known (hit) or not (miss)",
            ["result"],
            registry=self.registry,
        )
        self.rejected = Counter("seedx_rejected", "Requests refused, by reason", ["reason"], registry=self.registry)
        self.aborted = Counter("seedx_aborted", "Replies ended by their client or by time", registry=self.registry)

    def text(self) -> bytes:
        return generate_latest(self.registry)
