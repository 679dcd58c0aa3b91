// The JetStream adapter over libnats: its C API ends here.
#include <nats/nats.h>
#include <weft/sdk/owned.h>

#include <algorithm>
#include <charconv>
#include <climits>
#include <string_view>
#include <utility>

#include "pipeline/queue/jetstream.h"

namespace weft {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kReconnectWait{200};

using ConnectionHandle = Owned<natsConnection, natsConnection_Destroy>;
using ContextHandle = Owned<jsCtx, jsCtx_Destroy>;
using SubscriptionHandle = Owned<natsSubscription, natsSubscription_Destroy>;
using MessageHandle = Owned<natsMsg, natsMsg_Destroy>;
using StreamInfoHandle = Owned<jsStreamInfo, jsStreamInfo_Destroy>;
using ConsumerInfoHandle = Owned<jsConsumerInfo, jsConsumerInfo_Destroy>;
using PubAckHandle = Owned<jsPubAck, jsPubAck_Destroy>;
using MetaDataHandle = Owned<jsMsgMetaData, jsMsgMetaData_Destroy>;
using OptionsHandle = Owned<natsOptions, natsOptions_Destroy>;

int64_t in_nanoseconds(milliseconds time) { return nanoseconds(time).count(); }

std::string data_of(const natsMsg* message) {
  return {natsMsg_GetData(message), static_cast<size_t>(natsMsg_GetDataLength(message))};
}

StatusCode code_of(natsStatus status, jsErrCode error) {
  switch (error) {
    case JSStreamNotFoundErr:
    case JSConsumerNotFoundErr: return StatusCode::kNotFound;
    case JSClusterNotAvailErr:
    case JSClusterNotLeaderErr: return StatusCode::kTimedOut;
    case JSNotEnabledErr:
    case JSNotEnabledForAccountErr: return StatusCode::kUnsupported;
    default: break;
  }
  if (error != 0) return StatusCode::kIoError;
  switch (status) {
    // What is so while the server is away or is still reading its files.
    case NATS_TIMEOUT:
    case NATS_NO_RESPONDERS:
    case NATS_CONNECTION_DISCONNECTED:
    case NATS_IO_ERROR:
    case NATS_STALE_CONNECTION:
    case NATS_INSUFFICIENT_BUFFER:
    case NATS_MISSED_HEARTBEAT:
    case NATS_NO_SERVER: return StatusCode::kTimedOut;
    case NATS_CONNECTION_AUTH_FAILED:
    case NATS_NOT_PERMITTED: return StatusCode::kPermissionDenied;
    case NATS_NO_MEMORY: return StatusCode::kOutOfMemory;
    default: return StatusCode::kIoError;
  }
}

/// What a call of libnats came to. what: "storing a message".
Status outcome(natsStatus status, jsErrCode error, const char* what) {
  if (status == NATS_OK) return {};
  natsStatus last = NATS_OK;
  const char* detail = nats_GetLastError(&last);
  const StatusCode code = code_of(status, error);
  std::string got = natsStatus_GetText(status);
  if (last == status && detail && *detail) got += std::string(": ") + detail;
  const bool away = code == StatusCode::kTimedOut;
  return Status(code, away ? "the queue's server does not answer" : "the queue's server refuses")
      .at(what)
      .got(std::move(got));
}

Result<MetaDataHandle> meta_data(natsMsg* message) {
  jsMsgMetaData* meta = nullptr;
  const natsStatus status = natsMsg_GetMetaData(&meta, message);
  MetaDataHandle handle(meta);
  if (Status failed = outcome(status, {}, "reading a message"); !failed.ok()) return failed;
  return handle;
}

/// A message that answers a request for one; its reply subject takes what becomes of it, and says how often it was handed
/// out: $JS.ACK.STREAM.CONSUMER.DELIVERED.... Protocol: https://docs.nats.io/reference/reference-protocols/nats_api_reference
class NatsDelivery final : public Delivery {
 public:
  static constexpr std::string_view kSubjects = "$JS.ACK.";

  NatsDelivery(natsConnection* connection, MessageHandle message)
      : connection_(connection), message_(std::move(message)), data_(data_of(message_.get())) {}

  const std::string& data() const override { return data_; }
  uint64_t tries() const override {
    std::string_view rest = natsMsg_GetReply(message_.get());
    rest.remove_prefix(kSubjects.size());
    for (int i = 0; i < 2; ++i) rest.remove_prefix(std::min(rest.size(), rest.find('.') + 1));
    uint64_t tries = 1;
    std::from_chars(rest.data(), rest.data() + rest.size(), tries);
    return tries;
  }
  Status in_progress() override { return answer("+WPI"); }
  Status acknowledge() override { return answer("+ACK"); }
  Status give_back(milliseconds delay) override {
    return answer("-NAK {\"delay\":" + std::to_string(in_nanoseconds(delay)) + "}");
  }

 private:
  Status answer(const std::string& text) {
    const char* subject = natsMsg_GetReply(message_.get());
    return outcome(natsConnection_PublishString(connection_, subject, text.c_str()), {},
                   "answering for an item");
  }

  natsConnection* connection_;
  const MessageHandle message_;
  const std::string data_;
};

class NatsJetStream final : public JetStream {
 public:
  Status connect(const std::string& url, const std::string& client) {
    natsOptions* raw_options = nullptr;
    natsStatus status = natsOptions_Create(&raw_options);
    const OptionsHandle options(raw_options);
    if (status == NATS_OK) status = natsOptions_SetURL(raw_options, url.c_str());
    if (status == NATS_OK) status = natsOptions_SetName(raw_options, client.c_str());
    if (status == NATS_OK) status = natsOptions_SetMaxReconnect(raw_options, INT_MAX);
    if (status == NATS_OK) status = natsOptions_SetReconnectWait(raw_options, kReconnectWait.count());
    if (status == NATS_OK) status = natsOptions_SetReconnectJitter(raw_options, kReconnectWait.count(), 0);
    if (status == NATS_OK) status = natsOptions_SetFailRequestsOnDisconnect(raw_options, true);
    if (status == NATS_OK) status = natsOptions_SetTimeout(raw_options, kPatience.count());
    natsConnection* connection = nullptr;
    if (status == NATS_OK) status = natsConnection_Connect(&connection, raw_options);
    connection_.reset(connection);
    if (status == NATS_NO_SERVER || status == NATS_TIMEOUT) {
      return Status(StatusCode::kIoError, "no NATS server answers there")
          .hint("nats-server --jetstream --store_dir FOLDER starts one");
    }
    jsOptions js_options;
    jsCtx* context = nullptr;
    if (status == NATS_OK) status = jsOptions_Init(&js_options);
    if (status == NATS_OK) {
      js_options.Wait = kPatience.count();
      status = natsConnection_JetStream(&context, connection, &js_options);
    }
    context_.reset(context);
    if (Status failed = outcome(status, {}, "connecting"); !failed.ok()) return failed;
    return check_enabled();
  }

  Status create_stream(const std::string& stream, const std::string& subjects) override {
    jsStreamConfig config;
    jsStreamConfig_Init(&config);
    const char* all[] = {subjects.c_str()};
    config.Name = stream.c_str();
    config.Subjects = all;
    config.SubjectsLen = 1;
    config.Storage = js_FileStorage;
    jsStreamInfo* info = nullptr;
    jsErrCode error = {};
    const natsStatus status = js_AddStream(&info, context_.get(), &config, nullptr, &error);
    const StreamInfoHandle handle(info);
    return outcome(status, error, "making the queue");
  }

  Status create_consumer(const std::string& stream, const std::string& consumer,
                         milliseconds silence) override {
    jsConsumerConfig config;
    jsConsumerConfig_Init(&config);
    config.Durable = consumer.c_str();
    config.AckPolicy = js_AckExplicit;
    config.AckWait = in_nanoseconds(silence);
    config.MaxDeliver = -1;  // after how many tries an item has failed is decided, and recorded, by workers
    config.MaxAckPending = -1;  // any number of items may be at work
    jsConsumerInfo* info = nullptr;
    jsErrCode error = {};
    const natsStatus status = js_AddConsumer(&info, context_.get(), stream.c_str(), &config, nullptr, &error);
    const ConsumerInfoHandle handle(info);
    return outcome(status, error, "making the queue");
  }

  Status delete_stream(const std::string& stream) override {
    jsErrCode error = {};
    const natsStatus status = js_DeleteStream(context_.get(), stream.c_str(), nullptr, &error);
    return error == JSStreamNotFoundErr ? Status() : outcome(status, error, "removing the queue");
  }

  Result<bool> publish_first(const std::string& subject, const std::string& data) override {
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.ExpectNoMessage = true;
    options.MaxWait = kPatience.count();
    jsPubAck* ack = nullptr;
    jsErrCode error = {};
    const natsStatus status = js_Publish(&ack, context_.get(), subject.c_str(), data.data(),
                                         static_cast<int>(data.size()), &options, &error);
    const PubAckHandle handle(ack);
    if (error == JSStreamWrongLastSequenceErr) return false;
    if (Status failed = outcome(status, error, "storing a message"); !failed.ok()) return failed;
    return true;
  }

  Result<std::optional<std::string>> find(const std::string& stream, const std::string& subject) override {
    natsMsg* message = nullptr;
    jsErrCode error = {};
    const natsStatus status =
        js_GetLastMsg(&message, context_.get(), stream.c_str(), subject.c_str(), nullptr, &error);
    const MessageHandle handle(message);
    if (error == JSNoMessageFoundErr) return std::optional<std::string>();
    if (Status failed = outcome(status, error, "reading a message"); !failed.ok()) return failed;
    return std::optional<std::string>(data_of(message));
  }

  Result<uint64_t> count(const std::string& stream) override {
    Result<StreamInfoHandle> info = stream_info(stream);
    if (!info.ok()) return info.status();
    return (*info)->State.Msgs;
  }

  Status read_all(const std::string& stream, const std::string& subjects,
                  const std::function<Status(const std::string&)>& visit) override {
    Result<StreamInfoHandle> info = stream_info(stream);
    if (!info.ok()) return info.status();
    const uint64_t last = (*info)->State.LastSeq;
    if ((*info)->State.Msgs == 0) return {};
    jsSubOptions options;
    jsSubOptions_Init(&options);
    options.Stream = stream.c_str();
    options.Ordered = true;
    natsSubscription* raw = nullptr;
    jsErrCode error = {};
    const natsStatus status =
        js_SubscribeSync(&raw, context_.get(), subjects.c_str(), nullptr, &options, &error);
    const SubscriptionHandle subscription(raw);
    if (Status failed = outcome(status, error, "reading the queue"); !failed.ok()) return failed;
    for (;;) {
      natsMsg* message = nullptr;
      const natsStatus next = natsSubscription_NextMsg(&message, raw, kPatience.count());
      const MessageHandle handle(message);
      if (Status failed = outcome(next, {}, "reading the queue"); !failed.ok()) return failed;
      if (Status visited = visit(data_of(message)); !visited.ok()) return visited;
      const Result<MetaDataHandle> meta = meta_data(message);
      if (!meta.ok()) return meta.status();
      if ((*meta)->Sequence.Stream >= last) return {};
    }
  }

  Result<std::unique_ptr<Delivery>> take(const std::string& stream, const std::string& consumer) override {
    const std::string subject = "$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer;
    natsMsg* raw = nullptr;
    const natsStatus status = natsConnection_RequestString(
        &raw, connection_.get(), subject.c_str(), "{\"batch\":1,\"no_wait\":true}", kPatience.count());
    MessageHandle message(raw);
    if (status == NATS_NO_RESPONDERS) {
      // The server has not come so far yet, or there is no such consumer.
      if (const Result<Outstanding> there = outstanding(stream, consumer); !there.ok()) return there.status();
    }
    if (Status failed = outcome(status, {}, "taking an item"); !failed.ok()) return failed;
    const char* reply = natsMsg_GetReply(raw);
    const bool none = reply == nullptr || !std::string_view(reply).starts_with(NatsDelivery::kSubjects);
    if (none) return std::unique_ptr<Delivery>();  // "404 No Messages"
    return std::unique_ptr<Delivery>(std::make_unique<NatsDelivery>(connection_.get(), std::move(message)));
  }

  Result<Outstanding> outstanding(const std::string& stream, const std::string& consumer) override {
    jsConsumerInfo* raw = nullptr;
    jsErrCode error = {};
    const natsStatus status =
        js_GetConsumerInfo(&raw, context_.get(), stream.c_str(), consumer.c_str(), nullptr, &error);
    const ConsumerInfoHandle info(raw);
    if (Status failed = outcome(status, error, "asking for the queue"); !failed.ok()) return failed;
    return Outstanding{info->NumPending, static_cast<uint64_t>(info->NumAckPending)};
  }

  Status flush() override {
    return outcome(natsConnection_FlushTimeout(connection_.get(), kPatience.count()), {}, "flushing");
  }

 private:
  Status check_enabled() {
    jsAccountInfo* info = nullptr;
    jsErrCode error = {};
    const natsStatus status = js_GetAccountInfo(&info, context_.get(), nullptr, &error);
    jsAccountInfo_Destroy(info);
    if (status == NATS_NO_RESPONDERS || error == JSNotEnabledErr || error == JSNotEnabledForAccountErr) {
      return Status(StatusCode::kUnsupported, "the NATS server has no JetStream, which keeps queues")
          .hint("nats-server --jetstream --store_dir FOLDER");
    }
    return outcome(status, error, "asking for JetStream");
  }

  Result<StreamInfoHandle> stream_info(const std::string& stream) {
    jsStreamInfo* info = nullptr;
    jsErrCode error = {};
    const natsStatus status = js_GetStreamInfo(&info, context_.get(), stream.c_str(), nullptr, &error);
    StreamInfoHandle handle(info);
    if (Status failed = outcome(status, error, "asking for the queue"); !failed.ok()) return failed;
    return handle;
  }

  ConnectionHandle connection_;
  ContextHandle context_;
};

}  // namespace

Result<std::unique_ptr<JetStream>> connect_jetstream(const std::string& url, const std::string& client) {
  auto stream = std::make_unique<NatsJetStream>();
  if (Status status = stream->connect(url, client); !status.ok()) return status;
  return std::unique_ptr<JetStream>(std::move(stream));
}

}  // namespace weft
