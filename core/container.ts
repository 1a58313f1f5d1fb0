/** One child container per run, over tsyringe; the global container is never written to. */
import "reflect-metadata";
import { container as root, instanceCachingFactory, type DependencyContainer } from "tsyringe";
import { errors } from "./errors.ts";
import type { Services, Token } from "./tokens.ts";

/** The run's services by token. */
export class Container implements Services {
  private readonly inner: DependencyContainer;

  constructor(parent: DependencyContainer = root) {
    this.inner = parent.createChildContainer();
  }

  /** Binds a service, made once on first use. Binding a token again replaces the earlier binding. */
  bind<T>(token: Token<T>, make: (container: Container) => T): this {
    this.inner.register(token.key, { useFactory: instanceCachingFactory(() => make(this)) });
    return this;
  }

  /** Whether anyone bound the service. */
  has<T>(token: Token<T>): boolean {
    return this.inner.isRegistered(token.key, true);
  }

  /** The service bound last. Throws SERVICE_NOT_BOUND. */
  get<T>(token: Token<T>): T {
    if (!this.has(token)) throw errors.serviceNotBound(token.description);
    return this.inner.resolve<T>(token.key);
  }

  /** A container that sees these bindings and can replace them for itself. */
  child(): Container {
    return new Container(this.inner);
  }
}
