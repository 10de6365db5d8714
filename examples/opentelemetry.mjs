// node examples/opentelemetry.mjs [BASE_URL]
// One span for each request, one below it for each phase: times, sizes and ids, never content.
import { channel, tracingChannel } from "node:diagnostics_channel";
import { SpanStatusCode, context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { SecureChatCompletion } from "nomyo-native";

const exporter = new InMemorySpanExporter(); // in earnest: an OTLPTraceExporter
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
const tracer = trace.getTracer("nomyo-native");

const spans = new WeakMap();
tracingChannel("nomyo:request").subscribe({
  start(request) {
    spans.set(request, tracer.startSpan("chat", { attributes: { "gen_ai.request.model": request.model } }));
  },
  error(request) {
    spans.get(request).setStatus({ code: SpanStatusCode.ERROR, message: request.errorCode });
  },
  asyncEnd(request) {
    const { attempts, status, payloadId, requestBytes, responseBytes } = request;
    const facts = { attempts, "http.response.status_code": status, payloadId, requestBytes, responseBytes };
    spans.get(request).setAttributes(facts).end();
  },
});
channel("nomyo:request:phase").subscribe(({ request, attempt, phase, milliseconds, ok }) => {
  const end = Date.now();
  const parent = trace.setSpan(context.active(), spans.get(request));
  const options = { startTime: end - milliseconds, attributes: { attempt, ok } };
  tracer.startSpan(phase, options, parent).end(end);
});

const baseUrl = process.argv[2] ?? "https://api.nomyo.ai";
const client = new SecureChatCompletion({ baseUrl, allowHttp: baseUrl.startsWith("http://127.0.0.1") });
await client.create({ model: "Qwen/Qwen3-0.6B", messages: [{ role: "user", content: "Say hello." }] });
await client.close();

for (const span of exporter.getFinishedSpans()) {
  const [seconds, nanoseconds] = span.duration;
  console.log(
    `${span.parentSpanContext ? "  " : ""}${span.name} ${(seconds * 1000 + nanoseconds / 1e6).toFixed(1)} ms`,
  );
}
