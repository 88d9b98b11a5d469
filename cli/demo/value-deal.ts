/** The deal that `heddle demo value` tells of. */
import { randomUUID } from "node:crypto";

/** What the demo reads of a model. */
export interface Model {
  readonly id: string;
  readonly hypotheses: readonly { readonly id: string }[];
}

/** What the demo reads of a commitment. */
export interface Commitment {
  readonly id: string;
}

/** The day in UTC so many days from now, as in 2027-03-31. */
export function dayFromNow(days: number): string {
  return new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10);
}

/**
 * A model of two hypotheses, for 60,000.00 EUR: conversion from 2 to 3 % at 80,000.00 a point (full 80,000.00, expected 56,000.00), and
 * tickets from 500 to 400 a week at 800.00 each (full 80,000.00, expected 60,000.00).
 */
export function modelOf(reviewer: string): object {
  return {
    requestId: randomUUID(),
    title: "A faster checkout",
    currency: "EUR",
    investment: "6000000",
    reviewerIds: [reviewer],
    hypotheses: [
      {
        driver: "Conversion",
        unit: "%",
        rationale: "Every second of waiting loses buyers.",
        ...{ baseline: 2, target: 3, confidence: 0.7, valuePerUnit: 8_000_000, dueDate: dayFromNow(180) },
      },
      {
        driver: "Support tickets",
        unit: "a week",
        rationale: "One in five asks why a payment failed.",
        ...{ baseline: 500, target: 400, confidence: 0.75, valuePerUnit: 80_000, dueDate: dayFromNow(270) },
      },
    ],
  };
}

/** A commitment against it: two payments, a design due in 10 days and a launch due in 30, and one approval. */
export function commitmentOf(modelId: string, approver: string): object {
  return {
    requestId: randomUUID(),
    modelId,
    title: "Build the checkout",
    contract: { reference: "C-014", counterparty: "Loom & Sons", startDate: dayFromNow(0), endDate: dayFromNow(365) },
    amount: "6000000",
    terms: [
      { kind: "TERM_KIND_PAYMENT", title: "At the signature", amount: "2000000", dueDate: dayFromNow(14) },
      { kind: "TERM_KIND_PAYMENT", title: "At the launch", amount: "4000000", dueDate: dayFromNow(44) },
      { kind: "TERM_KIND_PENALTY", title: "A week late", amount: "100000" },
    ],
    deliverables: [
      { title: "Design", dueDate: dayFromNow(10), weight: 1 },
      { title: "Launch", dueDate: dayFromNow(30), weight: 3 },
    ],
    requiredApprovals: [{ userId: approver }],
  };
}
