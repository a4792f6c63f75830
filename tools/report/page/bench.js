// Results of `vallm bench`.
report.kinds.bench = {
  title: "Benchmarks",
  render(results, root) {
    const runs = results.map((result) => ({
      ...result,
      input: result.completed ? result.total_input_tokens / result.completed : NaN,
      output: result.sweep_cell?.output_len ?? (result.requested_output_tokens ? result.requested_output_tokens / result.num_prompts
        : result.total_output_tokens / result.completed),
      load: result.max_concurrency ?? (typeof result.request_rate === "number" ? null : result.max_concurrent_requests),
      rate: typeof result.request_rate === "number" ? result.request_rate : null,
    })).sort((a, b) => a.file.localeCompare(b.file, "en", { numeric: true }));
    const detail = element("div");
    root.append(element("p.dim", {}, "Figures as vLLM's benchmark_serving.py defines them; decoding tok/s is the vendor's 1000 / mean ITL × concurrency. Choose a run to see its requests."));
    root.append(table(columns(runs), runs, (run) => detail.replaceChildren(...runDetail(run))));
    const charts = overview(runs);
    if (charts.length) root.append(...charts);
    root.append(element("h2", {}, "One run"), detail);
  },
};

function columns(runs) {
  const text = (name, value) => ({ name, value, left: true });
  const figureColumn = (name, key, digits) => ({ name, value: typeof key === "function" ? key : (run) => run[key], text: (value) => number(value, digits) });
  const models = new Set(runs.map((run) => run.model_id));
  return [
    text("Result", (run) => run.file.replace(/\.json$/, "")),
    ...(models.size > 1 ? [text("Model", (run) => run.model_id)] : []),
    { name: "Concurrency", value: (run) => run.load, text: (value) => (value ?? "–").toString() },
    ...(runs.some((run) => run.rate !== null) ? [figureColumn("Rate, req/s", "rate", 1)] : []),
    figureColumn("Input", "input", 0), figureColumn("Output", "output", 0),
    { name: "Done", value: (run) => run.completed, text: String },
    ...(runs.some((run) => run.failed) ? [{ name: "Failed", value: (run) => run.failed ?? 0, text: String }] : []),
    figureColumn("Output tok/s", "output_throughput", 1), figureColumn("Total tok/s", "total_token_throughput", 1),
    figureColumn("TTFT ms", "mean_ttft_ms"), figureColumn("P99", "p99_ttft_ms"),
    figureColumn("TPOT ms", "mean_tpot_ms"), figureColumn("ITL ms", "mean_itl_ms"), figureColumn("P99", "p99_itl_ms"),
    figureColumn("Decoding tok/s", (run) => run.decoding_token_throughput ?? 1000 / run.mean_itl_ms * (run.load ?? NaN), 1),
  ];
}

function groupBy(list, key) {
  const groups = new Map();
  for (const item of list) groups.set(key(item), [...(groups.get(key(item)) ?? []), item]);
  return [...groups].sort((a, b) => (a[0] > b[0] ? 1 : -1));
}

// How figures depend on the length of prompts, the concurrency and the rate: what the runs vary in.
function overview(runs) {
  const sections = [];
  const models = groupBy(runs, (run) => run.model_id);
  for (const [model, ofModel] of models) {
    for (const [output, group] of groupBy(ofModel.filter((run) => run.rate === null && run.load), (run) => Math.round(run.output))) {
      const inputs = groupBy(group, (run) => Math.round(run.input));
      const loads = groupBy(group, (run) => run.load);
      if (inputs.length < 2 && loads.length < 2) continue;
      const note = `answers of ${output} tokens`;
      const byInput = inputs.length > 1;
      const x = byInput ? { label: "prompt tokens", log: true } : { label: "concurrency", log: true };
      const series = (key) => (byInput ? loads : [[null, group]]).map(([load, list]) => ({
        name: load === null ? "all" : `concurrency ${load}`,
        points: list.map((run) => [byInput ? run.input : run.load, run[key]]).sort((a, b) => a[0] - b[0]),
      }));
      const chart = (title, key, y) => lineChart({ title, note, x, y, series: series(key) });
      const charts = [
        chart("Time to first token", "mean_ttft_ms", { label: "ms", log: byInput }),
        chart("Time per output token", "mean_tpot_ms", { label: "ms" }),
        chart("Output throughput", "output_throughput", { label: "tok/s" }),
        chart("Decoding throughput per request", "per_req_decoding_token_throughput", { label: "tok/s" }),
      ];
      if (byInput && loads.length > 1) {
        const total = inputs.map(([input, list]) => ({ name: `${input} tokens`,
          points: list.map((run) => [run.load, run.total_token_throughput]).sort((a, b) => a[0] - b[0]) }));
        charts.push(lineChart({ title: "Total throughput by concurrency", note, x: { label: "concurrency", log: true }, y: { label: "tok/s" }, series: total }));
      }
      sections.push(element("h2", {}, models.length > 1 ? `${model}: ${note}` : `By ${byInput ? "prompt length" : "concurrency"}, ${note}`), element("div.charts", {}, ...charts));
    }
    const open = ofModel.filter((run) => run.rate !== null);
    if (groupBy(open, (run) => run.rate).length > 1) {
      const lines = (keys) => keys.map(([name, key]) => ({ name, points: open.map((run) => [run.rate, run[key]]).sort((a, b) => a[0] - b[0]) }));
      sections.push(element("h2", {}, "By request rate"), element("div.charts", {},
        lineChart({ title: "Time to first token", x: { label: "requests per second" }, y: { label: "ms" }, series: lines([["mean", "mean_ttft_ms"], ["median", "median_ttft_ms"], ["P99", "p99_ttft_ms"]]) }),
        lineChart({ title: "Time per output token", x: { label: "requests per second" }, y: { label: "ms" }, series: lines([["mean", "mean_tpot_ms"], ["P99", "p99_tpot_ms"]]) }),
        lineChart({ title: "Throughput", x: { label: "requests per second" }, y: { label: "req/s" }, series: lines([["done", "request_throughput"], ["good", "request_goodput"]]) })));
    }
  }
  return sections;
}

function shares(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.map((value, i) => [value, 100 * (i + 1) / sorted.length]);
}

function runDetail(run) {
  const fields = Object.entries(run).filter(([name, value]) => (typeof value !== "object" || value === null)
    && !["input", "output", "load", "rate"].includes(name));
  const parts = [];
  const requests = run.requests;
  if (requests) {
    const good = requests.ttfts.map((_, i) => i).filter((i) => !(requests.failed ?? [])[i]);
    const charts = [];
    if (requests.start_times) {
      charts.push(timeline("Requests", run.file, requests.ttfts.map((ttft, i) => {
        const since = run.latency_from === "due" ? requests.due_times[i] : requests.start_times[i];
        return { start: since, first: since + ttft, end: since + requests.latencies[i], failed: (requests.failed ?? [])[i] };
      })));
    }
    charts.push(lineChart({ title: "Time to first token", note: "share of requests", x: { label: "ms" }, y: { label: "%" },
      series: [{ name: "TTFT", dots: false, points: shares(good.map((i) => requests.ttfts[i] * 1000)) }] }));
    if (run.itl_quantiles_ms?.length) {
      charts.push(lineChart({ title: "Between two chunks", note: "share of gaps", x: { label: "ms" }, y: { label: "%" },
        series: [{ name: "ITL", dots: false, points: run.itl_quantiles_ms.map((value, i) => [value, i]) }] }));
    }
    if (new Set(good.map((i) => requests.input_lens?.[i])).size > 3) {
      charts.push(lineChart({ title: "Time to first token by prompt", x: { label: "prompt tokens" }, y: { label: "ms" },
        series: [{ name: "request", scattered: true, points: good.map((i) => [requests.input_lens[i], requests.ttfts[i] * 1000]) }] }));
    }
    parts.push(element("div.charts", {}, ...charts));
  } else {
    parts.push(element("p.dim", {}, "This result has no values of its requests: --save-detailed keeps them."));
  }
  parts.push(element("div.panel.pad", {}, element("dl", {}, ...fields.map(([name, value]) => element("div", {},
    element("dt", {}, name), element("dd", {}, typeof value === "number" ? String(Number(value.toPrecision(6))) : String(value ?? "–")))))));
  return parts;
}
