// JSON.parse keeps the last of two equal keys and says nothing: two readers could see two different files. This finds them.

/** The first key that an object of this JSON text holds twice, or null. The text must have passed JSON.parse. */
export function findDuplicateKey(json: string): string | null {
  const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\]:]/g;
  const open: (Set<string> | null)[] = []; // One per open bracket: the keys of an object so far, null for a list.
  let text = '';
  for (let match = tokens.exec(json); match !== null; match = tokens.exec(json)) {
    const token = match[0];
    if (token === '{') open.push(new Set());
    else if (token === '[') open.push(null);
    else if (token === '}' || token === ']') open.pop();
    else if (token !== ':') text = token;
    else {
      const keys = open.at(-1)!; // In valid JSON a colon follows a key of an object.
      const key = JSON.parse(text) as string; // "a" and "\u0061" are the same key.
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return null;
}
