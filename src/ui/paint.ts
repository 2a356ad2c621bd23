// Colour and weight. A colour means something: red needs you, yellow waits for you, green went well, cyan is the curve.
// Nothing is said by colour alone.

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'blue' | 'magenta' | 'cyan';

/** Returns the text in that style, or the text as it is where there are no colours. */
export type Paint = (style: Style | undefined, text: string) => string;

/** SGR parameters, on and off: ECMA-48, 8.3.117. Only the terminal's own 8 colours, so that its theme decides. */
const CODES: Readonly<Record<Style, readonly [on: number, off: number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
  blue: [34, 39],
  magenta: [35, 39],
  cyan: [36, 39],
};

export function createPaint(hasColour: boolean): Paint {
  if (!hasColour) return (_style, text) => text;
  return (style, text) => {
    if (style === undefined || text === '') return text;
    const [on, off] = CODES[style];
    return `\u001b[${on}m${text}\u001b[${off}m`;
  };
}
