// The queue of pairs that could be merged next: a binary max-heap.

export interface PairEntry {
  readonly count: number;
  readonly left: number;
  readonly right: number;
  /** Indices of the words that held the pair when the entry was made. */
  readonly words: ArrayLike<number>;
}

export interface PairHeap {
  push(entry: PairEntry): void;
  /** The highest count; among equal counts the smaller left id, then the smaller right id. Null when empty. */
  pop(): PairEntry | null;
}

export function createPairHeap(): PairHeap {
  const entries: PairEntry[] = [];
  return {
    push: (entry) => rise(entries, entry),
    pop() {
      const top = entries[0];
      const last = entries.pop();
      if (last === undefined) return null;
      if (entries.length > 0) sink(entries, last);
      return top;
    },
  };
}

function rise(entries: PairEntry[], entry: PairEntry): void {
  let at = entries.length;
  while (at > 0) {
    const parent = (at - 1) >> 1;
    if (!isBefore(entry, entries[parent])) break;
    entries[at] = entries[parent];
    at = parent;
  }
  entries[at] = entry;
}

/** Puts `entry` in the place of the top. */
function sink(entries: PairEntry[], entry: PairEntry): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= entries.length) break;
    if (child + 1 < entries.length && isBefore(entries[child + 1], entries[child])) child++;
    if (!isBefore(entries[child], entry)) break;
    entries[at] = entries[child];
    at = child;
  }
  entries[at] = entry;
}

function isBefore(a: PairEntry, b: PairEntry): boolean {
  if (a.count !== b.count) return a.count > b.count;
  return a.left !== b.left ? a.left < b.left : a.right < b.right;
}
