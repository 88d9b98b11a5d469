import assert from "node:assert/strict";
import { WaitingRoom } from "./waiting-room.ts";

const hour = 3_600_000;
const never = new AbortController().signal;

describe("waiting room", () => {
  let room: WaitingRoom;
  beforeEach(() => {
    room = new WaitingRoom(hour);
  });
  afterEach(() => room[Symbol.dispose]());

  /** Waits in the line of a queue; tells the order of the turns. */
  function wait(turns: string[], name: string, queue = "q") {
    const place = room.enter(queue);
    const turn = place.turn(hour, never).then(() => {
      turns.push(name);
      place[Symbol.dispose]();
    });
    return { place, turn };
  }

  it("wakes one for each wake-up, in the order in which they came", async () => {
    const turns: string[] = [];
    const [first, second] = [wait(turns, "first"), wait(turns, "second")];
    room.wake("q");
    await first.turn;
    assert.deepEqual([turns, room.waiting("q")], [["first"], 1]);
    room.wake("q");
    await second.turn;
    assert.deepEqual([turns, room.waiting("q")], [["first", "second"], 0]);
  });

  it("wakes the next one when the first was called already", async () => {
    const turns: string[] = [];
    const both = [wait(turns, "first"), wait(turns, "second")];
    room.wake("q");
    room.wake("q");
    await Promise.all(both.map(({ turn }) => turn));
    assert.deepEqual(turns, ["first", "second"]);
  });

  it("keeps a wake-up that comes between the look and the wait", async () => {
    using place = room.enter("q");
    room.wake("q");
    await place.turn(hour, never);
  });

  it("wakes nobody of another queue, and one of each with undefined", async () => {
    const turns: string[] = [];
    const both = [wait(turns, "one", "1"), wait(turns, "two", "2")];
    room.wake("q");
    assert.deepEqual([room.waiting("1"), room.waiting("2")], [1, 1]);
    room.wake(undefined);
    await Promise.all(both.map(({ turn }) => turn));
    assert.deepEqual(turns, ["one", "two"]);
  });

  it("ends a wait after its time, and when its signal aborts, before or during it", async () => {
    using place = room.enter("q");
    await place.turn(1, never);
    const cut = new AbortController();
    const turn = place.turn(hour, cut.signal);
    cut.abort();
    await turn;
    await place.turn(hour, cut.signal);
  });

  it("lets the first in line look by itself every 5 ms, with a tick of 5 ms", async () => {
    using ticking = new WaitingRoom(5);
    using place = ticking.enter("q");
    await place.turn(hour, never);
  });
});
