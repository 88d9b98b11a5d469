/** For the test that no stranger reaches another's objects: which fields name them, whose they are, and a valid request for each method. */
import type { JsonValue } from "@bufbuild/protobuf";
import type { PlatformPerson } from "./person.ts";

/** An owner's objects: what a field of that name is given, by the field's name or by `contract/field` where the name alone says too little. */
export type OwnedObjects = Readonly<Record<string, string>>;

/** Makes one object of each kind in the name of `owner`, over REST. */
export async function makeObjects(owner: PlatformPerson): Promise<OwnedObjects> {
  const { id: notification } = await owner.post("/api/v1/notifications:send", {
    channel: "CHANNEL_EMAIL",
    recipient: owner.email,
    text: { subject: "Private", body: "Nobody else's." },
  });
  const { apiKey } = await owner.post("/api/v1/auth/api-keys", { name: "mine", scopes: [] });
  const { sessions } = await owner.get("/api/v1/auth/sessions");
  return {
    user_id: owner.id,
    notification_id: notification,
    api_key_id: apiKey.id,
    session_id: sessions[0].id,
    // Only its owner knows of one that is there, so another's cannot be told from none.
    subscription_id: "0198a2b0-0000-7000-8000-000000000007",
  };
}

/** Fields that end on `_id` or look so and name nothing that belongs to somebody. */
export const ownerless: readonly string[] = [
  "request_id",
  // UpdateMe reads no id: it changes who calls.
  "auth.v1/id",
];

/** What a method needs besides its owned field to be valid, as JSON. A method that is not named here needs nothing. */
export const validRequests: Readonly<Record<string, JsonValue>> = {
  "auth.v1.AuthService/RecordAuditEvent": { action: "session.ended" },
  "notification.v1.NotificationService/Send": {
    channel: "CHANNEL_EMAIL",
    recipient: "a@example.com",
    text: { subject: "x", body: "y" },
  },
};
