/** Example calls of etl's routes. */
import type { AliasCall } from "./alias-call.ts";

// The value of `anything`, which is not there yet when its module loads this one.
const anything = "<anything>";

const nobody = "0198a2b0-0000-7000-8000-000000000001";
const none = { status: 404, answer: { code: 5 } };

/** In an order that tells a story. */
export const etlCalls: readonly AliasCall[] = [
  {
    call: "POST /api/v1/etl/uploads?file_name=alias.csv",
    rpc: "etl.v1.EtlService/UploadFile",
    raw: { type: "text/csv", text: "name,amount\nAnn,1\nBob,x\nCleo,3\n" },
    answer: { fileName: "alias.csv", format: "FILE_FORMAT_CSV", complete: true, userId: "{user}" },
    keep: { etl_upload: "id" },
  },
  {
    call: "GET /api/v1/etl/uploads/{etl_upload}",
    rpc: "etl.v1.EtlService/GetUpload",
    answer: { id: "{etl_upload}", sizeBytes: "31" },
  },
  { call: "GET /api/v1/etl/uploads", rpc: "etl.v1.EtlService/ListUploads", answer: { uploads: [{ id: "{etl_upload}" }] } },
  {
    call: "POST /api/v1/etl/jobs",
    rpc: "etl.v1.EtlService/CreateJob",
    body: {
      source: { file: { uploadId: "{etl_upload}" } },
      steps: [{ cast: { types: { amount: "COLUMN_TYPE_INTEGER" } } }],
      load: { table: { table: "alias" } },
    },
    answer: { userId: "{user}", columns: [{ name: "name" }, { name: "amount", type: "COLUMN_TYPE_INTEGER" }] },
    keep: { etl_job: "id" },
  },
  { call: "GET /api/v1/etl/jobs/{etl_job}", rpc: "etl.v1.EtlService/GetJob", answer: { id: "{etl_job}" } },
  { call: "GET /api/v1/etl/{etl_job}", rpc: "etl.v1.EtlService/GetJob", answer: { id: "{etl_job}" } },
  { call: "GET /api/v1/etl/{etl_job}/status", rpc: "etl.v1.EtlService/GetJob", answer: { id: "{etl_job}" } },
  { call: "GET /api/v1/etl/status/{etl_job}", rpc: "etl.v1.EtlService/GetJob", answer: { id: "{etl_job}" } },
  { call: "GET /api/v1/etl/jobs", rpc: "etl.v1.EtlService/ListJobs", answer: { jobs: [{ id: "{etl_job}" }] } },
  { call: "GET /api/v1/etl/status", rpc: "etl.v1.EtlService/ListJobs", answer: { jobs: [{ id: "{etl_job}" }] } },
  {
    call: "GET /api/v1/etl/jobs/{etl_job}:watch",
    rpc: "etl.v1.EtlService/WatchJob",
    stream: true,
    answer: { id: "{etl_job}", status: anything },
  },
  {
    call: "GET /api/v1/etl/jobs/{etl_job}/progress",
    rpc: "etl.v1.EtlService/WatchJob",
    stream: true,
    answer: { id: "{etl_job}", status: anything },
  },
  {
    call: "POST /api/v1/etl/jobs",
    rpc: "etl.v1.EtlService/CreateJob",
    body: { source: { file: { uploadId: "{etl_upload}" } }, load: { file: { format: "FILE_FORMAT_NDJSON" } } },
    answer: { columns: [{ name: "name" }, { name: "amount", type: "COLUMN_TYPE_TEXT" }] },
    keep: { etl_copy: "id" },
  },
  { call: "GET /api/v1/etl/tables", rpc: "etl.v1.EtlService/ListTables", answer: {} },
  { call: "GET /api/v1/etl/tables/none", rpc: "etl.v1.EtlService/GetTable", ...none },
  { call: "GET /api/v1/etl/tables/none/rows", rpc: "etl.v1.EtlService/ReadTable", ...none },
  { call: "DELETE /api/v1/etl/tables/none", rpc: "etl.v1.EtlService/DeleteTable", ...none },
  { call: `POST /api/v1/etl/jobs/${nobody}:cancel`, rpc: "etl.v1.EtlService/CancelJob", body: {}, ...none },
  { call: `GET /api/v1/etl/jobs/${nobody}/rejects`, rpc: "etl.v1.EtlService/DownloadRejects", ...none },
  { call: `GET /api/v1/etl/jobs/${nobody}/output`, rpc: "etl.v1.EtlService/DownloadOutput", ...none },
  { call: `DELETE /api/v1/etl/uploads/${nobody}`, rpc: "etl.v1.EtlService/DeleteUpload", ...none },
];
