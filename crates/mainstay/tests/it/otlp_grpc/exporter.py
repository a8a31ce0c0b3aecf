"""OpenTelemetry's own exporter: counts, measures, sends, and says how that ended.

exporter.py ENDPOINT COMPRESSION [HEADER=VALUE]
"""
import sys

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource
from grpc import Compression

endpoint, compression = sys.argv[1:3]
headers = tuple(tuple(header.split("=", 1)) for header in sys.argv[3:])
reader = InMemoryMetricReader()
provider = MeterProvider([reader], resource=Resource({"service.name": "shop", "service.instance.id": compression}))
meter = provider.get_meter("exporter")
meter.create_counter("orders", description="Orders taken.").add(42, {"place": "hall, é"})
meter.create_gauge("height").set(2.5)
latency = meter.create_histogram("latency", unit="s")
for seconds in (0.25, 7.5, 80.0):
    latency.record(seconds)
exporter = OTLPMetricExporter(
    endpoint=endpoint,
    insecure=True,
    headers=headers,
    timeout=10,
    compression=Compression.Gzip if compression == "gzip" else Compression.NoCompression,
)
print(exporter.export(reader.get_metrics_data()).name)
