"""Traces by OpenTelemetry, where the extra is installed and an OTLP endpoint is set; else nothing at all."""

import asyncio
import importlib.util
import os

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from mediasvc import __version__, logs
from mediasvc.errors import MediaError

# The SDK's own variables; it reads the rest of them (headers, sampling, resource) by itself.
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def is_wanted() -> bool:
    """Whether an endpoint is set, tracing is not switched off, and the SDK is there."""
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return False
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return False
    if importlib.util.find_spec("opentelemetry") is None:
        logs.get().warning("tracing.unavailable", reason="install mediasvc[otel]")
        return False
    return True


def middleware() -> Middleware | None:
    """One span for each request that reaches a route, in the caller's trace. None: nothing is traced."""
    if not is_wanted():
        return None
    # Only here, since the packages are an extra that most installations do without.
    from opentelemetry import propagate, trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource.create({SERVICE_VERSION: __version__})
    if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        named = named.merge(Resource({SERVICE_NAME: "mediasvc"}))
    provider = TracerProvider(resource=named)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    tracer = provider.get_tracer("mediasvc", __version__)

    @web.middleware
    async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unknown"
        with tracer.start_as_current_span(
            f"{request.method} {route}",
            context=propagate.extract(request.headers),
            kind=trace.SpanKind.SERVER,
            # Expected failures are replies like others; they are told from bugs below.
            record_exception=False,
            set_status_on_exception=False,
            attributes={
                "http.request.method": request.method,
                "http.route": route,
                "mediasvc.request_id": logs.request_id.get(),
            },
        ) as span:
            status = 500
            try:
                reply = await handler(request)
                status = reply.status
            except MediaError as error:
                status = error.status
                span.set_attribute("error.type", error.code)
                raise
            except web.HTTPException as error:
                status = error.status
                raise
            except asyncio.CancelledError:
                status = 499  # the client left
                raise
            except Exception as error:
                span.record_exception(error)
                raise
            finally:
                span.set_attribute("http.response.status_code", status)
                if status >= 500:
                    span.set_status(trace.StatusCode.ERROR)
            if "cache" in request:
                span.set_attribute("mediasvc.cache", request["cache"])
            if "host" in request:
                span.set_attribute("mediasvc.source_host", request["host"])
            return reply

    return traced
