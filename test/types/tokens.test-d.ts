/** Types of dependency injection: what must compile and what must not. Checked by `tsc`, never run. */
import { Container } from "../../core/container.ts";
import type { Dataset } from "../../core/data/dataset.ts";
import type { Logger } from "../../core/logger.ts";
import { createToken, DATASET, LOGGER, type Token } from "../../core/tokens.ts";

declare const logger: Logger;
declare const dataset: Dataset;
const container = new Container();

container.bind(LOGGER, () => logger).bind(DATASET, (services) => (services.get(LOGGER), dataset));
container.get(LOGGER).info("a service has the type of its token");

// @ts-expect-error -- another service
container.bind(LOGGER, () => dataset);
// @ts-expect-error -- a part of the service
container.bind(LOGGER, () => ({ info: () => {} }));
// @ts-expect-error -- the service itself, not a function that makes it
container.bind(LOGGER, logger);
// @ts-expect-error -- a promise of the service
container.bind(DATASET, () => Promise.resolve(dataset));
// @ts-expect-error -- another type than the token's
const wrong: Dataset = container.get(LOGGER);
// @ts-expect-error -- a text is no token
container.get("LOGGER");

interface Bird {
  readonly name: string;
}
interface Duck extends Bird {
  quack(): void;
}
const BIRD = createToken<Bird>("BIRD");
const DUCK = createToken<Duck>("DUCK");
// @ts-expect-error -- a bird could be bound where a duck is expected
const asDuck: Token<Duck> = BIRD;
// @ts-expect-error -- and the other way round, a plain bird where others get ducks
const asBird: Token<Bird> = DUCK;

export { asBird, asDuck, wrong };
