// A curve of any length in bounded memory: when it grows too long, neighbours become their mean.

export interface SeriesPoint {
  readonly x: number;
  readonly y: number;
}

export interface Series {
  readonly points: readonly SeriesPoint[];
  /** Values that make one point; doubles whenever the points have filled the capacity. */
  readonly stride: number;
  /** Values that wait for their point to be full. */
  readonly open: { readonly sum: number; readonly count: number; readonly x: number };
}

/** Twice the dots of a chart 250 columns wide, so that thinning doesn't show. */
const CAPACITY = 1024;

export const EMPTY_SERIES: Series = { points: [], stride: 1, open: { sum: 0, count: 0, x: 0 } };

/** The series with one more value; x must not fall. Values that aren't finite are left out. */
export function addToSeries(series: Series, x: number, y: number): Series {
  if (!Number.isFinite(y)) return series;
  const open = { sum: series.open.sum + y, count: series.open.count + 1, x };
  if (open.count < series.stride) return { ...series, open };
  const points = [...series.points, { x, y: open.sum / open.count }];
  if (points.length < CAPACITY) return { ...series, points, open: EMPTY_SERIES.open };
  return { points: halve(points), stride: series.stride * 2, open: EMPTY_SERIES.open };
}

/** All points, the unfinished one included, so that the curve reaches the present. */
export function pointsOf(series: Series): readonly SeriesPoint[] {
  const { sum, count, x } = series.open;
  return count === 0 ? series.points : [...series.points, { x, y: sum / count }];
}

/** Each pair as one point: the mean, at the place of the later one. */
function halve(points: readonly SeriesPoint[]): SeriesPoint[] {
  const halved: SeriesPoint[] = [];
  for (let i = 0; i + 1 < points.length; i += 2) {
    halved.push({ x: points[i + 1].x, y: (points[i].y + points[i + 1].y) / 2 });
  }
  return halved;
}
