/**
 * A copy of an object's own enumerable members that inherits nothing.
 *
 * Options are read from such copies only: whoever can write to `Object.prototype` (a hole that many packages have had)
 * must not be able to set an option that its user left out. Reading each member once also means that what was checked
 * is what is used.
 */
export function ownMembers<T extends object>(value: T): T {
  return Object.assign(Object.create(null) as T, value);
}
