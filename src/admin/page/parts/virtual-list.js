// A table of any length of which only the rows in sight exist. Rows have one height, so a row's place is arithmetic.
import { html, useEffect, useLayoutEffect, useRef, useState } from '../ui.js';

const BEYOND = 12;

// `rows` of `height` pixels; `row(item, index)` draws a `<tr>`; `reached` is called when the end comes near; `control`
// gets `{ show(index), top() }`; `moved(top)` is called as the reader scrolls.
export function VirtualTable({ rows, height, head, row, label, reached, moved, control, foot, className = '' }) {
  const box = useRef(null);
  const [place, setPlace] = useState({ top: 0, size: 800 });

  const look = () => {
    const { scrollTop, clientHeight } = box.current;
    setPlace((old) => (old.top === scrollTop && old.size === clientHeight ? old : { top: scrollTop, size: clientHeight }));
  };
  useLayoutEffect(() => {
    const watch = new ResizeObserver(look);
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    if (place.top + place.size > (rows.length - 20) * height) reached?.();
  }, [place, rows.length]);
  if (control) control.current = { show: (index) => reveal(box.current, index, height), to: (top) => (box.current.scrollTop = top), shift: (by) => (box.current.scrollTop += by) };

  const first = Math.max(0, Math.floor(place.top / height) - BEYOND);
  const end = Math.min(rows.length, Math.ceil((place.top + place.size) / height) + BEYOND);
  const scrolled = () => {
    look();
    moved?.(box.current.scrollTop);
  };
  return html`<div class="scroller ${className}" ref=${box} onScroll=${scrolled} tabindex="0" role="region" aria-label=${label}>
    <table class="rows" aria-rowcount=${rows.length + 1} aria-label=${label}>
      <thead><tr aria-rowindex="1">${head}</tr></thead>
      <tbody>
        <${Spacer} height=${first * height} />
        ${rows.slice(first, end).map((item, at) => row(item, first + at))}
        <${Spacer} height=${(rows.length - end) * height} />
      </tbody>
    </table>
    ${foot}
  </div>`;
}

function Spacer({ height }) {
  return html`<tr class="spacer" aria-hidden="true"><td style=${{ height: `${height}px` }}></td></tr>`;
}

function reveal(box, index, height) {
  const heading = box.querySelector('thead')?.offsetHeight ?? 0;
  const top = index * height;
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + height + heading > box.scrollTop + box.clientHeight) box.scrollTop = top + height + heading - box.clientHeight;
}
