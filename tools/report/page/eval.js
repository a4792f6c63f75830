// Results of `vallm eval`: {file, model, scores: [{dataset, subset, num, score}]}.
report.kinds.eval = {
  title: "Accuracy",
  render(results, root) {
    const rows = results.flatMap((result) => result.scores.map((score) => ({ ...score, model: score.model ?? result.model, file: result.file })));
    const text = (name, value) => ({ name, value, left: true });
    root.append(table([
      text("Model", (row) => row.model), text("Dataset", (row) => row.dataset), text("Subset", (row) => row.subset ?? ""),
      { name: "Samples", value: (row) => row.num, text: (value) => String(value ?? "–") },
      { name: "Score", value: (row) => row.score, text: (value) => number(value, 4) },
      { name: "95 % interval", value: (row) => row.score, text: () => "" },
      text("Result", (row) => row.file),
    ].map((column) => column.name === "95 % interval" ? { name: column.name, value: (row) => intervalText(row) } : column), rows));
    root.append(element("div.charts", {}, ...results.map((result) => barChart(result.model ?? result.file, result.file,
      result.scores.map((score) => ({ name: score.subset ? `${score.dataset} ${score.subset}` : score.dataset, value: score.score, ...wilson(score) }))))));
  },
};

// Wilson's interval of a share; a mean of values between 0 and 1 has a narrower one.
function wilson({ score, num }) {
  if (!num || typeof score !== "number") return {};
  const z = 1.96, centre = (score + z * z / (2 * num)) / (1 + z * z / num);
  const half = z / (1 + z * z / num) * Math.sqrt(score * (1 - score) / num + z * z / (4 * num * num));
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

function intervalText(row) {
  const { low, high } = wilson(row);
  return low === undefined ? "–" : `${number(low, 3)} – ${number(high, 3)}`;
}
