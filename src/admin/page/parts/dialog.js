// A modal dialog: the browser's own, which keeps the focus inside and gives it back.
import { html, useEffect, useRef } from '../ui.js';
import { t } from '../i18n.js';
import { icon } from './icons.js';

// Gives the focus to that element when nothing has it, as after a button that went with what it did.
export function focusIfLost(id) {
  requestAnimationFrame(() => {
    if (!document.activeElement || document.activeElement === document.body) document.getElementById(id)?.focus();
  });
}

// `onClose(true)`: the browser has closed it already.
export function Dialog({ title, onClose, wide, children, actions }) {
  const element = useRef(null);
  useEffect(() => {
    const before = document.activeElement;
    const dialog = element.current;
    dialog.showModal();
    return () => {
      dialog.close();
      if (before?.isConnected) before.focus();
    };
  }, []);
  // A browser closes one at the second Escape whatever we say; the key itself is ours.
  const keyed = (event) => {
    if (event.key !== 'Escape' || event.isComposing) return;
    event.preventDefault();
    event.stopPropagation();
    onClose();
  };
  const cancelled = (event) => {
    event.preventDefault();
    onClose();
  };
  const pressed = (event) => {
    if (event.target !== element.current) return;
    event.preventDefault();
    onClose();
  };
  const closed = (event) => event.target.isConnected && onClose(true);
  return html`<dialog ref=${element} class=${wide ? 'wide' : ''} aria-labelledby="dialog-title" onKeyDown=${keyed} onCancel=${cancelled} onClose=${closed} onMouseDown=${pressed}>
    <div class="dialog-body" tabindex="-1">
      <header><h2 id="dialog-title" tabindex="-1">${title}</h2>
        <button class="icon-only ghost" aria-label=${t('act.close')} onClick=${() => onClose()}>${icon('close')}</button></header>
      <div class="dialog-content">${children}</div>
      ${actions && html`<footer>${actions}</footer>`}
    </div>
  </dialog>`;
}
