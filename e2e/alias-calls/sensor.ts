/** Example calls of the sensor service. */
import type { AliasCall } from "./alias-call.ts";

const readings = { sampleRateHz: 10, samples: Array.from({ length: 100 }, (_, i) => 21 + 0.0005 * ((i * 7919) % 13)) };
/** What older programs ask of sensors. */
export const sensorCalls: readonly AliasCall[] = [
  {
    call: "POST /test/temperature",
    rpc: "sensor.v1.SensorService/RunTest",
    body: readings,
    answer: { sensorType: "temperature", status: "STATUS_PROCESSING", userId: "{user}" },
    keep: { test: "id" },
  },
  {
    call: "POST /test/sensor/humidity",
    rpc: "sensor.v1.SensorService/RunTest",
    body: { sampleRateHz: 1 },
    answer: { sensorType: "humidity", status: "STATUS_PROCESSING" },
    keep: { waiting: "id" },
  },
  {
    call: "POST /test/sensor/humidity",
    rpc: "sensor.v1.SensorService/RunTest",
    body: { sampleRateHz: 1 },
    answer: { sensorType: "humidity", status: "STATUS_PROCESSING" },
    keep: { raw: "id" },
  },
  { call: "GET /test/{test}", rpc: "sensor.v1.SensorService/GetTest", answer: { id: "{test}", sensorType: "temperature" } },
  {
    call: "POST /api/v1/sensors/temperature/tests:uploadRaw?sampleRateHz=10",
    rpc: "sensor.v1.SensorService/UploadSamples",
    raw: { type: "text/plain", text: `${readings.samples.join("\n")}\n` },
    answer: { sensorType: "temperature", sampleCount: "100" },
  },
  {
    call: "POST /api/v1/tests/{waiting}:upload",
    rpc: "sensor.v1.SensorService/UploadSamples",
    raw: { type: "application/x-ndjson", text: `{"samples": [40, 41, 40]}\n{"samples": [41, 40]}\n` },
    answer: { id: "{waiting}", sampleCount: "5" },
  },
  {
    call: "POST /api/v1/tests/{raw}:uploadRaw",
    rpc: "sensor.v1.SensorService/UploadSamples",
    raw: { type: "text/plain", text: "40\n41\n40\n" },
    answer: { id: "{raw}", sampleCount: "3" },
  },
];
