/** Work side by side in one thread: what waits for others' threads, such as decoding, overlaps. */

/** The source's values; the next one is made while one is used. */
export async function* ahead<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, undefined> {
  const values = source[Symbol.asyncIterator]();
  const begin = () => {
    const next = values.next();
    next.catch(() => undefined); // it is thrown when its turn has come
    return next;
  };
  try {
    for (let result = await begin(); result.done !== true;) {
      const next = begin();
      yield result.value;
      result = await next;
    }
  } finally {
    await values.return?.();
  }
}

/** As `Promise.all` of the values' work, with at most `limit` of it begun and not done. */
export async function mapLimited<T, R>(
  values: readonly T[],
  limit: number,
  work: (value: T) => Promise<R>,
): Promise<R[]> {
  const results = new Array<R>(values.length);
  const waiting = values.entries();
  const one = async () => {
    for (const [i, value] of waiting) results[i] = await work(value);
  };
  await Promise.all(Array.from({ length: Math.min(limit, values.length) }, one));
  return results;
}
