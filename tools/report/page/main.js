{
  const data = JSON.parse(document.getElementById("data").textContent);
  const main = document.querySelector("main");
  const shown = Object.entries(data.kinds).filter(([, results]) => results.length);
  const count = shown.reduce((sum, [, results]) => sum + results.length, 0);
  document.querySelector("header").append(element("h1", {}, data.folder),
    element("span.dim", {}, `${count} result${count === 1 ? "" : "s"}`));
  document.title = `${data.folder}: vallm report`;
  for (const [name, results] of shown) {
    const kind = report.kinds[name];
    const section = element("section", {}, element("h2", {}, kind.title));
    main.append(section);
    kind.render(results, section);
  }
  if (!count) main.append(element("p.dim", {}, "No results in this folder. “vallm bench serve --save-result”, “vallm bench sweep” and “vallm eval” write them."));
  if (data.broken.length) main.append(element("p.bad", {}, `Not JSON: ${data.broken.join(", ")}`));
}
