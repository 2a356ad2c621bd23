// Which of many groups has the least load: a binary heap (Williams 1964) whose top is it, of equals the one with the lower index.

export interface Lightest {
  /** The group with the least load, which grows by `load`. */
  add(load: number): number;
}

/** `groups` of them, without load. An addition takes log2(groups) comparisons. */
export function createLightest(groups: number): Lightest {
  const loads = new Float64Array(groups);
  // Ascending indices of equal loads are a heap.
  const heap = Int32Array.from({ length: groups }, (_, group) => group);
  const isBefore = (a: number, b: number) => loads[a] < loads[b] || (loads[a] === loads[b] && a < b);
  const sink = (group: number) => {
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < groups && isBefore(heap[child + 1], heap[child])) child++;
      if (child >= groups || isBefore(group, heap[child])) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = group;
  };
  return {
    add(load) {
      const group = heap[0];
      loads[group] += load;
      sink(group);
      return group;
    },
  };
}
