// Results of `vallm eval`: results.json, whose format docs/accuracy.md describes.
report.kinds.eval = {
  title: "Accuracy",
  render(results, root) {
    const datasets = results.flatMap((result) => result.datasets.map((dataset) => ({ ...dataset, model: result.model, file: result.file })));
    const subsets = datasets.flatMap((dataset) => (dataset.subsets ?? []).filter(() => dataset.subsets.length > 1)
      .map((subset) => ({ ...subset, dataset: label(dataset), model: dataset.model, file: dataset.file })));
    const text = (name, value) => ({ name, value, left: true });
    const score = { name: "Score", value: (row) => row.score, text: (value) => number(value, 4) };
    const count = (name, key) => ({ name, value: (row) => row[key], text: (value) => (value ?? "–").toString() });
    root.append(table([
      text("Model", (row) => row.model), text("Dataset", label), count("Subset_Num", "subset_num"), count("Sample_Num", "sample_num"), score,
      { name: "95 % interval", value: (row) => row.interval?.[0], text: () => "" },
      text("Metric", (row) => row.metric), count("Without answer", "failed"), count("Cut off", "truncated"), text("Result", (row) => row.file),
    ].map((column) => column.name === "95 % interval" ? { name: column.name, value: interval } : column), datasets));
    root.append(element("div.charts", {}, ...charts(results, datasets)));
    if (subsets.length) {
      root.append(element("h3", {}, "Subsets"), element("p"), table([text("Model", (row) => row.model), text("Dataset", (row) => row.dataset),
        text("Subset", (row) => row.name), count("Samples", "num"), score, text("Result", (row) => row.file)], subsets));
    }
  },
};

function label(dataset) { return dataset.pretty_name || dataset.name; }

function interval(row) {
  return row.interval?.length === 2 ? `${number(row.interval[0], 3)} – ${number(row.interval[1], 3)}` : "–";
}

// One result: its datasets. Several: for each dataset all results, to compare.
function charts(results, datasets) {
  const bar = (name, dataset) => ({ name, value: dataset.score, low: dataset.interval?.[0], high: dataset.interval?.[1] });
  if (results.length === 1) return [barChart(results[0].model ?? results[0].file, "score with its 95 % interval", datasets.map((dataset) => bar(label(dataset), dataset)))];
  return groupBy(datasets, label).map(([name, runs]) => barChart(name, "score with its 95 % interval",
    runs.map((run) => bar(runs.some((other) => other !== run && other.model === run.model) ? run.file : run.model, run))));
}
