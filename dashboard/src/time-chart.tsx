import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";

/** Height of a chart, in pixels. */
const HEIGHT = 200;

/** A chart of nothing shows so much. */
const LEAST_SCALE = 4;

/** Steps between the marks of a scale: whole numbers, because half a peer or byte is none. */
const STEPS = Array.from({ length: 15 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();

/** Values over time; several are stacked, the first at the bottom. */
export interface Band {
  /** Its colour is the style sheet's `--NAME`. */
  name: string;
  values: number[];
}

/** A chart over time. */
export function TimeChart(props: { label: string; at: number[]; bands: Band[]; show: (value: number) => string }) {
  const { label, at, bands, show } = props;
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(undefined);
  const data = useRef<uPlot.AlignedData>([[]]);
  data.current = stacked(at, bands);
  const names = bands.map(({ name }) => name).join();

  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const dark = matchMedia("(prefers-color-scheme: dark)");
    const draw = () => {
      chart.current?.destroy();
      chart.current = new uPlot(options(element, names.split(","), show), data.current, element);
    };
    const fit = new ResizeObserver(() => chart.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    draw();
    fit.observe(element);
    // Canvas colours do not follow the style sheet by themselves.
    dark.addEventListener("change", draw);
    return () => {
      dark.removeEventListener("change", draw);
      fit.disconnect();
      chart.current?.destroy();
    };
  }, [names, show]);
  useEffect(() => chart.current?.setData(data.current));

  const last = bands.map(({ name, values }) => `${name} ${show(values.at(-1) ?? 0)}`).join(", ");
  return <div class="chart" ref={place} role="img" aria-label={`${label}; now ${last}`} />;
}

/** Sums from the bottom up: uPlot draws lines, and fills below each. The highest comes first, the others over it. */
function stacked(at: number[], bands: Band[]): uPlot.AlignedData {
  const sums: number[][] = [];
  for (const { values } of bands) {
    const below = sums.at(-1);
    sums.push(values.map((value, index) => value + (below?.[index] ?? 0)));
  }
  return [at, ...sums.reverse()];
}

/** The time of day at a second since 1970. */
function clock(second: number): string {
  return new Date(second * 1000).toLocaleTimeString("en-GB", { timeStyle: second % 60 === 0 ? "short" : "medium" });
}

function options(element: HTMLElement, names: string[], show: (value: number) => string): uPlot.Options {
  const style = getComputedStyle(element);
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim();
  const axis = { stroke: colour("quiet"), grid: { show: false }, ticks: { show: false }, font: "12px system-ui" };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [12, 4, 0, 4],
    cursor: { show: false },
    legend: { show: false },
    scales: { y: { range: (_, __, most) => [0, Math.max(most * 1.1, LEAST_SCALE)] } },
    axes: [
      { ...axis, space: 70, values: (_, splits) => splits.map(clock) },
      {
        ...axis,
        size: 76,
        space: 44,
        incrs: STEPS,
        grid: { stroke: colour("line"), width: 1 },
        values: (_, splits) => splits.map((value) => show(value)),
      },
    ],
    series: [
      {},
      ...[...names].reverse().map((name) => ({
        stroke: colour(name),
        fill: colour(name),
        width: 0,
        points: { show: false },
      })),
    ],
  };
}
