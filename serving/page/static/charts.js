// The two charts over time. Tips are drawn on the canvas: in HTML they would need inline styles, which the policy forbids.
import { data, labelOf, number, percent, stepEnd, stepName, word } from "./text.js";

const FEW = 5; // comments; a share of fewer says nothing
const drawn = new Map();
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function drawVolume(answer, onStep) {
  const { series, hours, panels } = answer;
  const labels = data.labels.sentiment ?? [];
  const forecast = panels.forecast ?? [];
  const counts = Object.fromEntries(labels.map(({ key }) => [key, series.sentiment[key]]));
  const steps = [...series.starts, ...forecast.map((point) => point.start.slice(0, 16))];
  const total = series.starts.map((_, i) => labels.reduce((sum, { key }) => sum + counts[key][i], 0));
  const share = total.map((n, i) => (n >= FEW ? (counts.negative?.[i] ?? 0) / n : null));
  const bars = labels.map(({ key, name }) => bar(name, counts[key], color(key) || color("neutral")));
  const line = {
    name: word("chart.share"), type: "line", yAxisIndex: 1, data: share, symbol: "circle", symbolSize: 4, smooth: 0.25, z: 3,
    lineStyle: { width: 2, color: color("ink") }, itemStyle: { color: color("ink") },
    tooltip: { valueFormatter: (value) => (value == null ? "–" : percent(value)) },
  };
  const parts = counts.negative ? [...bars, line] : bars;
  draw("volume", "chart.volume", { steps, hours, total, parts: [...parts, ...band(forecast, series.starts.length)], share: Boolean(counts.negative) }, onStep);
}

export function drawUrgency(answer, onStep) {
  const { series, hours } = answer;
  const labels = [...(data.labels.urgency ?? [])].reverse();
  const total = series.starts.map((_, i) => labels.reduce((sum, { key }) => sum + series.urgency[key][i], 0));
  const parts = labels.map(({ key, name }) => bar(name, series.urgency[key], color(key) || color("neutral")));
  draw("urgency", "chart.urgency", { steps: series.starts, hours, total, parts }, onStep);
}

export function resize() {
  for (const chart of drawn.values()) chart.resize();
}

function bar(name, values, fill) {
  return { name, type: "bar", stack: "all", data: values, barCategoryGap: "28%", itemStyle: { color: fill }, emphasis: { focus: "series" } };
}

function band(points, before) {
  if (!points.length) return [];
  const gap = new Array(before).fill(null);
  const hidden = { type: "line", stack: "band", symbol: "none", lineStyle: { opacity: 0 }, silent: true };
  return [
    { ...hidden, name: "", data: [...gap, ...points.map((point) => point.low)], tooltip: { show: false } },
    { ...hidden, name: word("chart.forecast"), data: [...gap, ...points.map((point) => point.high - point.low)], areaStyle: { color: color("accent"), opacity: 0.18 }, itemStyle: { color: color("accent"), opacity: 0.3 } },
    { name: word("chart.expected"), type: "line", data: [...gap, ...points.map((point) => point.expected)], symbol: "none", lineStyle: { type: "dashed", color: color("accent") }, itemStyle: { color: color("accent") } },
  ];
}

function draw(name, title, { steps, hours, total, parts, share }, onStep) {
  const place = document.getElementById(`chart-${name}`);
  const sum = total.reduce((all, n) => all + n, 0);
  place.setAttribute("aria-label", word("chart.summary", { title: word(title), n: number(sum), top: number(Math.max(0, ...total)) }));
  place.removeAttribute("aria-labelledby");
  let chart = drawn.get(name);
  if (!chart) {
    chart = echarts.init(place, null, { renderer: "canvas" });
    drawn.set(name, chart);
    new ResizeObserver(() => chart.resize()).observe(place);
    chart.getZr().on("click", (event) => {
      const [i] = chart.convertFromPixel({ gridIndex: 0 }, [event.offsetX, event.offsetY]) ?? [];
      if (chart.containPixel("grid", [event.offsetX, event.offsetY]) && chart.pick) chart.pick(Math.round(i));
    });
  }
  chart.pick = (i) => steps[i] && total[i] != null && onStep({ from: steps[i], to: stepEnd(steps[i], hours) });
  chart.setOption(option({ steps, hours, parts, share, sum }), { notMerge: true });
}

function option({ steps, hours, parts, share, sum }) {
  const size = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const text = { color: color("muted"), fontSize: Math.round(0.8 * size), fontFamily: getComputedStyle(document.body).fontFamily };
  const axis = { axisLine: { lineStyle: { color: color("line") } }, axisTick: { show: false }, axisLabel: text };
  const count = { type: "value", minInterval: 1, axisLabel: text, splitLine: { lineStyle: { color: color("line") } } };
  const rate = { type: "value", min: 0, max: 1, axisLabel: { ...text, formatter: percent }, splitLine: { show: false } };
  return {
    animation: !calm.matches, animationDuration: 300, animationDurationUpdate: 300, aria: { enabled: false },
    textStyle: { fontFamily: text.fontFamily },
    title: sum ? undefined : { text: word("chart.empty"), left: "center", top: "middle", textStyle: { ...text, fontWeight: 400, fontSize: size } },
    legend: { top: 0, left: 0, itemWidth: 0.8 * size, itemHeight: 0.8 * size, itemGap: 1.1 * size, icon: "roundRect", textStyle: text, data: parts.map((part) => part.name).filter(Boolean) },
    grid: { left: 4, right: 4, top: 2.6 * size, bottom: 2, outerBoundsMode: "same", outerBoundsContain: "axisLabel" },
    tooltip: {
      trigger: "axis", renderMode: "richText", axisPointer: { type: "shadow", shadowStyle: { color: color("muted"), opacity: 0.1 } },
      backgroundColor: color("surface"), borderColor: color("line"), textStyle: { ...text, color: color("ink") }, confine: true,
    },
    xAxis: { type: "category", data: steps.map((start) => stepName(start, hours)), ...axis },
    yAxis: share ? [count, rate] : [count],
    series: parts,
  };
}
