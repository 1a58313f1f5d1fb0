/** The page's only script: the values under the pointer on a chart. Without it nothing else is lost. */
export const HOVER = `
for (const plot of document.querySelectorAll(".plot")) {
  const { percent, label, low, high, lines } = JSON.parse(plot.dataset.chart);
  const plain = (v) => Math.abs(v) < 1e-3 && v ? v.toExponential(2) : String(+v.toPrecision(4));
  const show = (v) => percent ? (v * 100).toFixed(1) + "\\u00a0%" : plain(v);
  const cursor = document.createElement("div");
  const tip = document.createElement("div");
  cursor.className = "cursor";
  tip.className = "tip";
  const move = (event) => {
    const box = plot.getBoundingClientRect();
    const x = low + (event.clientX - box.left) / box.width * (high - low);
    const near = (points) => points.reduce((a, b) => Math.abs(b[0] - x) < Math.abs(a[0] - x) ? b : a);
    const shown = lines.filter((line) => line.points.length);
    if (!shown.length) return;
    const at = near(shown[0].points)[0];
    const share = (at - low) / (high - low);
    cursor.style.left = share * 100 + "%";
    tip.style.left = share < 0.5 ? "calc(" + share * 100 + "% + 10px)" : "";
    tip.style.right = share < 0.5 ? "" : "calc(" + (1 - share) * 100 + "% + 10px)";
    tip.replaceChildren(label + " " + +at.toFixed(2));
    for (const line of shown) {
      const row = document.createElement("div");
      const swatch = document.createElement("i");
      swatch.style.background = line.colour;
      row.append(swatch, line.name + " " + show(near(line.points)[1]));
      tip.append(row);
    }
    plot.append(cursor, tip);
  };
  plot.addEventListener("pointermove", move);
  plot.addEventListener("pointerdown", move);
  plot.addEventListener("pointerleave", () => { cursor.remove(); tip.remove(); });
}
`;
