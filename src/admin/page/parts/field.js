// Form fields that carry their own hint and their own error.
import { html } from '../ui.js';

function about(name, hint, fault) {
  return [fault && `${name}-fault`, hint && `${name}-hint`].filter(Boolean).join(' ') || undefined;
}

const Fault = ({ name, fault }) => fault && html`<p class="field-fault" id=${`${name}-fault`} role="alert">${fault.message}${fault.hint && html` <span>${fault.hint}</span>`}</p>`;

export function Field({ name, label, value, onInput, fault, hint, mono, secret, ...more }) {
  return html`<div class="field"><label for=${`field-${name}`}>${label}</label>
    <input id=${`field-${name}`} name=${name} class=${mono ? 'mono' : ''} value=${value} onInput=${(event) => onInput(event.target.value)} spellcheck="false" autocapitalize="off"
      autocomplete=${secret ? 'new-password' : 'off'} aria-invalid=${fault ? 'true' : undefined} aria-describedby=${about(name, hint, fault)} ...${more} />
    <${Fault} name=${name} fault=${fault} />${hint && html`<p class="field-hint" id=${`${name}-hint`}>${hint}</p>`}</div>`;
}

// One of a few; `options`: [value, label, hint].
export function Choice({ name, label, value, onInput, fault, options }) {
  const hint = options.find(([key]) => key === value)?.[2];
  return html`<fieldset class="field choice" aria-describedby=${about(name, hint, fault)}><legend>${label}</legend>
    <div class="segments">${options.map(([key, text]) => html`<label key=${key} class=${key === value ? 'chosen' : ''}><input type="radio" class="sr-only" name=${name} value=${key} checked=${key === value} onChange=${() => onInput(key)} />${text}</label>`)}</div>
    <${Fault} name=${name} fault=${fault} />${hint && html`<p class="field-hint" id=${`${name}-hint`}>${hint}</p>`}</fieldset>`;
}
