// Puts plots and texts together into one SVG file. Observable Plot draws; linkedom is the document that it draws in, so that
// no browser is needed.

import * as Plot from '@observablehq/plot';
import { parseHTML } from 'linkedom';

/** Width of every picture, and the room for the labels of the vertical axis, in pixels. */
export const WIDTH = 900;
export const MARGIN_LEFT = 64;
export const MARGIN_RIGHT = 24;

/** Colours of Observable10, told apart also by most who are colour-blind. */
const COLOURS = ['#4269d0', '#efb118', '#ff725c', '#6cc5b0', '#3ca951', '#ff8ab7', '#a463f2', '#97bbf5', '#9c6b4e'];

export function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length];
}

/** Chinese labels need a font that has them; each system has another. */
const FONTS =
  "system-ui, 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', 'WenQuanYi Micro Hei', sans-serif";
const INK = '#1b1e23';
const FONT_SIZE = 12;

/** A piece of a picture: SVG text that is `height` pixels high, drawn at the top left. */
export interface Piece {
  readonly height: number;
  readonly svg: string;
}

/** The pieces one below the other, as the text of an SVG file. */
export function stack(title: string, pieces: readonly Piece[]): string {
  let y = 0;
  const placed = pieces.map(({ svg, height }) => {
    const text = `<g transform="translate(0,${y})">\n${svg}\n</g>`;
    y += height;
    return text;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}"` +
      ` font-family="${FONTS}" font-size="${FONT_SIZE}" fill="${INK}" color="${INK}" role="img">`,
    `<title>${escapeXml(title)}</title>`,
    `<rect width="${WIDTH}" height="${y}" fill="#ffffff"/>`,
    ...placed,
    '</svg>\n',
  ].join('\n');
}

/** A plot as a piece; what the options say of size, font and colour of the ink is ours to say. */
export function drawPlot(options: Plot.PlotOptions & { readonly height: number }): Piece {
  const { document } = parseHTML('<!doctype html><html><body></body></html>');
  const figure = Plot.plot({
    width: WIDTH,
    marginLeft: MARGIN_LEFT,
    marginRight: MARGIN_RIGHT,
    marginTop: 32,
    marginBottom: 36,
    style: { fontFamily: 'inherit', fontSize: `${FONT_SIZE}px` },
    ...options,
    document: document as unknown as Document,
  }) as unknown as { querySelector(selector: string): { remove(): void } | null; outerHTML: string };
  // It only says how a web page may scale the plot.
  figure.querySelector('style')?.remove();
  return { height: options.height, svg: figure.outerHTML };
}

export function escapeXml(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  // Control characters can't stand in XML, not even escaped.
  return text.replace(/[\p{Cc}\p{Cs}]/gu, ' ').replace(/[&<>"]/g, (character) => names[character]);
}
