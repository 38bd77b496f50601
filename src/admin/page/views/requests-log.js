// The rows of the list of requests: pages of the log, and what ends while we watch. What fits a filter is decided by
// the proxy alone, so a filtered list asks again when something has ended.
import { get } from '../api.js';
import { ended, epoch } from '../store.js';
import { useEffect, useRef, useState } from '../ui.js';

const PAGE = 200;
const ASK_AGAIN_MS = 1200;
const EMPTY = { rows: [], arrived: [], next: undefined, loading: true, problem: null, more: false };

const path = (q, before, limit = PAGE) => {
  const query = new URLSearchParams({ limit, detail: 'summary', ...(q && { q }), ...(before && { before }) });
  return `/api/logs?${query}`;
};

// Those of `fresh` that are not among `known`, newest first as both are.
function unknown(fresh, known) {
  const ids = new Set(known.slice(0, 1000).map((one) => one.id));
  return fresh.filter((one) => !ids.has(one.id));
}

// Those that ended after `known` did; with no `known`, all that ended while we watched.
function endedSince(known) {
  const all = ended.peek();
  const at = known ? all.indexOf(known) : all.length;
  return at < 0 ? all : all.slice(0, at);
}

function merged(state, fresh, paused) {
  const news = unknown(fresh, [...state.arrived, ...state.rows]);
  if (!news.length) return state;
  const arrived = [...news, ...state.arrived];
  return paused ? { ...state, arrived } : { ...state, rows: [...arrived, ...state.rows], arrived: [] };
}

// While `paused`, what is new waits in `arrived` until `show` is called.
export function useLog(q, paused) {
  const [state, setState] = useState(EMPTY);
  const current = useRef({});
  Object.assign(current.current, { q, paused, state });
  const isCurrent = (asked) => asked === current.current.q;

  useEffect(() => {
    const stop = new AbortController();
    const newest = ended.peek()[0];
    // What ended while the log was being read is not in what was read.
    const late = (logs) => (q ? [] : unknown(endedSince(newest), logs));
    setState((old) => ({ ...old, loading: true }));
    get(path(q), { signal: stop.signal }).then(
      (page) => setState({ ...EMPTY, rows: [...late(page.logs), ...page.logs], next: page.next, more: Boolean(page.next), loading: false }),
      (problem) => problem.name !== 'AbortError' && setState((old) => ({ ...old, rows: problem.span ? old.rows : [], arrived: [], loading: false, more: false, problem })),
    );
    return () => stop.abort();
  }, [q, epoch.value]);
  useLive(q, current, setState);
  useEffect(() => {
    if (!paused) setState((old) => merged({ ...old, rows: [...old.arrived, ...old.rows], arrived: [] }, [], false));
  }, [paused]);

  const older = async () => {
    const { next, loading, asking } = current.current.state;
    if (!next || loading || asking || current.current.older === next) return;
    current.current.older = next;
    try {
      const page = await get(path(q, next));
      if (isCurrent(q)) setState((old) => ({ ...old, rows: [...old.rows, ...unknown(page.logs, old.rows.slice(-1000))], next: page.next, more: Boolean(page.next) }));
    } catch (problem) {
      current.current.older = undefined;
      if (isCurrent(q)) setState((old) => ({ ...old, problem, more: false }));
    }
  };
  const show = () => setState((old) => ({ ...old, rows: [...old.arrived, ...old.rows], arrived: [] }));
  return { ...state, waiting: state.arrived.length, older, show };
}

function useLive(q, current, setState) {
  const timer = useRef(0);
  const newest = useRef(ended.peek()[0]);
  useEffect(() => {
    const fresh = endedSince(newest.current);
    newest.current = ended.value[0] ?? newest.current;
    if (!fresh.length) return;
    if (!q) setState((old) => (old.loading ? old : merged(old, fresh, current.current.paused)));
    else timer.current ||= setTimeout(ask, ASK_AGAIN_MS);
  }, [ended.value]);
  async function ask() {
    timer.current = 0;
    const { q: asked, state } = current.current;
    if (!asked) return;
    if (state.loading) {
      timer.current = setTimeout(ask, ASK_AGAIN_MS);
      return;
    }
    try {
      const page = await get(path(asked, undefined, 100));
      if (asked === current.current.q) setState((old) => (old.loading || old.problem ? old : merged(old, page.logs, current.current.paused)));
    } catch {
      // The next one that ends asks again.
    }
  }
}
