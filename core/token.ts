/** What names a service: the name carries the service's type. */

/** Names a service and carries its type, so that binding the wrong thing does not compile. */
export interface Token<T> {
  readonly key: symbol;
  readonly description: string;
  /** Phantom: makes the token invariant in T. Never set. */
  readonly service?: (value: T) => T;
}

/** Gives the service that is bound to a token. Throws SERVICE_NOT_BOUND. */
export interface Services {
  get<T>(token: Token<T>): T;
}

/** A token for a service of one's own: what one plugin binds, others ask for in `setup.service`. */
export function createToken<T>(description: string): Token<T> {
  return { key: Symbol(description), description };
}
