/** Text inside an XML document. */

// What is markup, what parsers normalise (CR), and what XML 1.0 forbids and keys may hold all the same.
const SPECIAL = /[&<>"'\u0000-\u0008\u000b-\u001f\u007f\ufffe\uffff]/g
const NAMED: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** For the text of an element and for the value of an attribute. */
export function escapeXml(text: string): string {
  return text.toWellFormed().replace(SPECIAL, (character) => NAMED[character] ?? reference(character))
}

const reference = (character: string) => `&#x${character.charCodeAt(0).toString(16).toUpperCase()};`
