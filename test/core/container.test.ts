import assert from "node:assert/strict";
// Before tsyringe, which needs the metadata that it loads.
import { Container } from "../../core/container.ts";
import { createToken } from "../../core/tokens.ts";
import { container as globalContainer } from "tsyringe";

interface Clock {
  readonly name: string;
}
const CLOCK = createToken<Clock>("CLOCK");
const GREETING = createToken<string>("GREETING");

describe("container", () => {
  it("makes a service once, when it is first used", () => {
    let made = 0;
    const container = new Container().bind(CLOCK, () => ({ name: `clock ${++made}` }));
    assert.equal(made, 0);
    assert.equal(container.get(CLOCK), container.get(CLOCK));
    assert.equal(made, 1);
  });

  it("gives the service that was bound last, also to services that use it", () => {
    const container = new Container();
    container.bind(GREETING, (services) => `hello ${services.get(CLOCK).name}`);
    container.bind(CLOCK, () => ({ name: "first" }));
    container.bind(CLOCK, () => ({ name: "second" }));
    assert.equal(container.get(GREETING), "hello second");
    container.bind(CLOCK, () => ({ name: "third" }));
    assert.equal(container.get(CLOCK).name, "third");
  });

  it("names a service that is not bound", () => {
    assert.throws(() => new Container().get(CLOCK), {
      code: "SERVICE_NOT_BOUND",
      message: "no service is bound for CLOCK",
      fix: /bind CLOCK/,
    });
  });

  it("tells tokens of the same description apart", () => {
    const container = new Container().bind(CLOCK, () => ({ name: "mine" }));
    assert.throws(() => container.get(createToken<Clock>("CLOCK")), { code: "SERVICE_NOT_BOUND" });
  });

  it("lets an error of the maker through", () => {
    const container = new Container().bind(CLOCK, () => {
      throw new RangeError("no time");
    });
    assert.throws(() => container.get(CLOCK), { name: "RangeError", message: "no time" });
  });

  describe("children", () => {
    it("see what the parent binds, before and after they were made", () => {
      const parent = new Container().bind(CLOCK, () => ({ name: "parent's" }));
      const child = parent.child();
      parent.bind(GREETING, () => "hello");
      assert.equal(child.get(CLOCK), parent.get(CLOCK));
      assert.equal(child.get(GREETING), "hello");
    });

    it("replace services for themselves only", () => {
      const parent = new Container().bind(CLOCK, () => ({ name: "parent's" }));
      const [a, b] = [parent.child(), parent.child()];
      a.bind(CLOCK, () => ({ name: "a's" }));
      a.bind(GREETING, () => "a");
      assert.deepEqual(
        [a, b, parent].map((c) => c.get(CLOCK).name),
        ["a's", "parent's", "parent's"],
      );
      for (const other of [b, parent])
        assert.throws(() => other.get(GREETING), { code: "SERVICE_NOT_BOUND" });
    });
  });

  it("never writes to the global container, nor are two containers connected", () => {
    const container = new Container().bind(CLOCK, () => ({ name: "mine" }));
    container.get(CLOCK);
    assert.ok(!globalContainer.isRegistered(CLOCK.key, true));
    assert.throws(() => new Container().get(CLOCK), { code: "SERVICE_NOT_BOUND" });
  });

  it("tells whether a service is bound, here or above", () => {
    const token = createToken<number>("NUMBER");
    const parent = new Container();
    assert.equal(parent.has(token), false);
    parent.bind(token, () => 1);
    assert.equal(parent.has(token), true);
    assert.equal(parent.child().has(token), true);
  });
});
