// The k largest logits without sorting the vocabulary: one pass with a heap of k ids whose root is the worst of them.
// O(V + k log V) on logits in no particular order.

/** (min(k, V)) ids of the largest logits, largest first, equal ones by id; -Infinity is never among them. No NaN; k >= 1. */
export function topIds(logits: Float32Array, k: number): Int32Array {
  const heap = new Int32Array(Math.min(k, logits.length));
  let size = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id];
    if (logit === Number.NEGATIVE_INFINITY) continue;
    if (size < heap.length) siftUp(heap, size++, id, logits);
    // An equal logit doesn't enter: the id in the heap is lower and wins.
    else if (logit > logits[heap[0]]) siftDown(heap, size, id, logits);
  }
  return heap.subarray(0, size).sort((a, b) => (comesAfter(a, b, logits) ? 1 : -1));
}

/** Puts `id` at `end`, then lets it rise above everything that is better. */
function siftUp(heap: Int32Array, end: number, id: number, logits: Float32Array): void {
  let i = end;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!comesAfter(id, heap[parent], logits)) break;
    heap[i] = heap[parent];
    i = parent;
  }
  heap[i] = id;
}

/** Replaces the root by `id` and lets it sink below everything that is worse. */
function siftDown(heap: Int32Array, size: number, id: number, logits: Float32Array): void {
  let i = 0;
  for (let child = 1; child < size; child = 2 * i + 1) {
    if (child + 1 < size && comesAfter(heap[child + 1], heap[child], logits)) child++;
    if (!comesAfter(heap[child], id, logits)) break;
    heap[i] = heap[child];
    i = child;
  }
  heap[i] = id;
}

/** Whether a is worse than b: a smaller logit, or an equal one with a higher id. */
function comesAfter(a: number, b: number, logits: Float32Array): boolean {
  return logits[a] < logits[b] || (logits[a] === logits[b] && a > b);
}
