/** Domain values to the contract's messages, and back. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type DeliverySchema,
  DeliveryState as DState,
  type MilestoneSchema,
  MilestoneState as MState,
} from "#gen/value/v1/delivery_pb.ts";
import type { Delivery, DeliveryState, Milestone, MilestoneState } from "./delivery.ts";
import { progressOf, rollUp, slippageOf } from "./slippage.ts";

/** The contract's name of each state. */
export const deliveryStateOf: Readonly<Record<DeliveryState, DState>> = {
  planned: DState.PLANNED,
  in_progress: DState.IN_PROGRESS,
  completed: DState.COMPLETED,
  canceled: DState.CANCELED,
};

const milestoneStateOf: Readonly<Record<MilestoneState, MState>> = {
  planned: MState.PLANNED,
  in_progress: MState.IN_PROGRESS,
  done: MState.DONE,
  canceled: MState.CANCELED,
};

/** Our name of a state of the contract; what is unspecified or unknown has none. */
export function deliveryStateNameOf(state: DState): DeliveryState | undefined {
  return (Object.keys(deliveryStateOf) as DeliveryState[]).find((name) => deliveryStateOf[name] === state);
}

/** The same of a milestone. */
export function milestoneStateNameOf(state: MState): MilestoneState | undefined {
  return (Object.keys(milestoneStateOf) as MilestoneState[]).find((name) => milestoneStateOf[name] === state);
}

/** A delivery as it stands on the day `today`. */
export function toDeliveryMessage(delivery: Delivery, today: string): MessageInitShape<typeof DeliverySchema> {
  const { milestones, state, createTime, updateTime, ...same } = delivery;
  return {
    ...same,
    state: deliveryStateOf[state],
    milestones: milestones.map((one) => toMilestoneMessage(one, today)),
    progress: progressOf(milestones),
    slippage: rollUp(milestones, today),
    createTime: timestampFromMs(createTime),
    updateTime: timestampFromMs(updateTime),
  };
}

/** A milestone as it stands on the day `today`. */
export function toMilestoneMessage(milestone: Milestone, today: string): MessageInitShape<typeof MilestoneSchema> {
  const { state, startDate: _, updateTime, ...same } = milestone;
  return {
    ...same,
    state: milestoneStateOf[state],
    updateTime: timestampFromMs(updateTime),
    ...(state === "canceled" ? {} : { slippage: slippageOf(milestone, today) }),
  };
}
