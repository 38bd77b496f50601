// Where the reader is: the hash holds the view, the thing looked at, and what was chosen there, so that a link shows
// the same to somebody else. `#/requests/req_1?tab=events`
import { signal } from './ui.js';

const VIEWS = ['overview', 'endpoints', 'requests', 'system'];

export const route = signal(parse(location.hash));

addEventListener('hashchange', () => {
  route.value = parse(location.hash);
});

export function parse(hash) {
  const [path, query] = hash.replace(/^#?\/?/, '').split(/\?(.*)/s);
  const [view, ...rest] = path.split('/');
  return {
    view: VIEWS.includes(view) ? view : 'overview',
    id: decoded(rest.join('/')),
    query: new URLSearchParams(query ?? ''),
  };
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// `query`: an object; empty values are left out.
export function href(view, id = '', query = {}) {
  const kept = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== '');
  const search = new URLSearchParams(kept).toString();
  return `#/${view}${id ? `/${encodeURIComponent(id)}` : ''}${search ? `?${search}` : ''}`;
}

export function go(view, id, query) {
  location.hash = href(view, id, query);
}

// Changes what was chosen in this view without a new step in the history.
export function choose(changes) {
  const { view, id, query } = route.peek();
  const next = href(view, id, { ...Object.fromEntries(query), ...changes });
  history.replaceState(null, '', next);
  route.value = parse(next);
}
