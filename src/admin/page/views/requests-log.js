// The rows of the list of requests: pages of the log, and what ends while we watch. What fits a filter is decided by
// the proxy alone, so a filtered list asks again when something has ended.
import { get } from '../api.js';
import { ended, epoch, useReturns } from '../store.js';
import { useEffect, useRef, useState } from '../ui.js';

const PAGE = 200;
const ASK_AGAIN_MS = 1200;
// Who missed more than this of what fits a filter reads the list from its top again.
const CAUGHT_UP_MOST = 1000;
const EMPTY = { rows: [], arrived: [], next: undefined, loading: true, problem: null, more: false };

const path = (q, before) => {
  const query = new URLSearchParams({ limit: PAGE, detail: 'summary', ...(q && { q }), ...(before && { before }) });
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

// The newest that fit, down to one of `known`; null where that is too far.
async function newestDownTo(known, q) {
  const ids = new Set(known.map((one) => one.id));
  const found = [];
  let before;
  do {
    const { logs, next } = await get(path(q, before));
    found.push(...logs);
    if (!next || logs.some((one) => ids.has(one.id))) return found;
    before = next;
  } while (found.length < CAUGHT_UP_MOST);
  return null;
}

// Nothing was read that something could be added to.
const isBlank = ({ loading, problem, rows }) => loading || (problem && !rows.length);

function merged(state, fresh, paused) {
  const news = unknown(fresh, [...state.arrived, ...state.rows]);
  if (!news.length) return state;
  const arrived = [...news, ...state.arrived];
  return paused ? { ...state, arrived } : { ...state, rows: [...arrived, ...state.rows], arrived: [] };
}

// While `paused`, what is new waits in `arrived` until `show` is called.
export function useLog(q, paused) {
  const [state, setState] = useState(EMPTY);
  const [round, setRound] = useState(0);
  const again = useReturns(state.rows.length ? null : state.problem);
  const current = useRef({});
  Object.assign(current.current, { q, paused, state });
  const isCurrent = (asked) => asked === current.current.q;

  useEffect(() => {
    const stop = new AbortController();
    const newest = ended.peek()[0];
    // What ended while the log was being read is not in what was read.
    const late = (logs) => (q ? [] : unknown(endedSince(newest), logs));
    current.current.older = undefined;
    setState((old) => ({ ...old, loading: true }));
    get(path(q), { signal: stop.signal }).then(
      (page) => setState({ ...EMPTY, rows: [...late(page.logs), ...page.logs], next: page.next, more: Boolean(page.next), loading: false }),
      (problem) => problem.name !== 'AbortError' && setState((old) => ({ ...(problem.span ? old : EMPTY), arrived: [], loading: false, problem })),
    );
    return () => stop.abort();
  }, [q, epoch.value, round, again]);
  useLive(q, current, setState, () => setRound((old) => old + 1));
  useEffect(() => {
    if (!paused) setState((old) => merged({ ...old, rows: [...old.arrived, ...old.rows], arrived: [] }, [], false));
  }, [paused]);

  const older = async () => {
    const { next, loading, problem: known } = current.current.state;
    if (!next || loading || known?.span || current.current.older === next) return;
    current.current.older = next;
    try {
      const page = await get(path(q, next));
      if (isCurrent(q)) setState((old) => ({ ...old, rows: [...old.rows, ...unknown(page.logs, old.rows.slice(-1000))], next: page.next, more: Boolean(page.next), problem: null }));
    } catch (problem) {
      current.current.older = undefined;
      if (isCurrent(q)) setState((old) => ({ ...old, problem }));
    }
  };
  const show = () => setState((old) => ({ ...old, rows: [...old.arrived, ...old.rows], arrived: [] }));
  return { ...state, waiting: state.arrived.length, older, show };
}

function useLive(q, current, setState, reload) {
  const asks = useRef({ timer: 0, again: false, gone: false }).current;
  const newest = useRef(ended.peek()[0]);
  useEffect(() => {
    const fresh = endedSince(newest.current);
    newest.current = ended.value[0] ?? newest.current;
    if (!fresh.length) return;
    if (q || isBlank(current.current.state)) soon();
    else setState((old) => (isBlank(old) ? old : merged(old, fresh, current.current.paused)));
  }, [ended.value]);
  useEffect(() => () => {
    clearTimeout(asks.timer);
    asks.gone = true;
  }, []);
  // One at a time; what ends meanwhile is asked for by the next.
  function soon() {
    if (asks.timer) asks.again = true;
    else asks.timer = setTimeout(ask, ASK_AGAIN_MS);
  }
  async function ask() {
    asks.again = false;
    await look();
    asks.timer = 0;
    if (asks.again && !asks.gone) soon();
  }
  async function look() {
    const { q: asked, state } = current.current;
    if (state.problem?.span) return;
    if (state.loading) asks.again = true;
    else if (isBlank(state)) reload();
    else if (asked) await catchUp(asked, state);
  }
  async function catchUp(asked, { arrived, rows }) {
    try {
      const found = await newestDownTo([...arrived, ...rows], asked);
      if (asked !== current.current.q) return;
      if (found) setState((old) => (isBlank(old) ? old : merged(old, found, current.current.paused)));
      else reload();
    } catch {
      // The next one that ends asks again.
    }
  }
}
