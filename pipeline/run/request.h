/// One request as the node sees it: the data behind weft_request, and the table that nodes call.
///
/// The run and the one-node runner both fill requests and take part in them through RequestHost.
/// Thread safety: a request from one thread at a time, as the contract says of nodes; cancelled() from any.
#ifndef WEFT_PIPELINE_RUN_REQUEST_H
#define WEFT_PIPELINE_RUN_REQUEST_H

#include <weft/abi/draft/run_record.h>
#include <weft/abi/node.h>
#include <weft/sdk/status.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "pipeline/memory/value.h"
#include "pipeline/run/output_folder.h"

namespace weft {

/// Whoever runs the request.
class RequestHost {
 public:
  virtual ~RequestHost() = default;
  virtual bool cancelled(const weft_request& request) const = 0;
  virtual void on_part(const weft_request& request, uint32_t port, const Value& part) = 0;
  virtual void on_progress(const weft_request& request, int64_t done, int64_t total, const char* unit) = 0;
  virtual void on_file(const weft_request& request, const std::string& relative_path,
                       uint64_t size_bytes) = 0;
  /// Notes that a file (canonical) is read. Errors: kPermissionDenied where the run does not allow it.
  virtual Status on_input_file(const std::filesystem::path& path) = 0;
  /// The same for a folder that is to be listed.
  virtual Status on_input_folder(const std::filesystem::path& path) = 0;
  /// The node did what the contract forbids; the request fails with it unless it fails anyway.
  virtual void on_breach(weft_request& request, const Status& breach) = 0;
  /// The node gets the request, now or with this batch.
  virtual void on_start(weft_request& request) = 0;
  /// The last call for a request, whose status and outputs are final.
  virtual void on_complete(weft_request& request) = 0;

  virtual OutputFolder& output_folder() = 0;
  virtual const std::filesystem::path& input_folder() const = 0;
  /// RunOptions::item.
  virtual const std::string& item() const = 0;
  /// JSON of a RunRecord, or empty.
  virtual const std::string& run_record() const = 0;
};

struct OutputPort {
  std::string name;
  std::string type;
  const weft_spec* bound = nullptr;  // what prepare promised; null: nothing
};

}  // namespace weft

/// The handle that nodes see.
struct weft_request {
  weft::RequestHost* host = nullptr;
  const std::vector<weft::OutputPort>* ports = nullptr;
  const std::string* node = nullptr;  // path, for messages
  uint32_t element = 0;               // of a for_each
  uint32_t lane = 0;                  // of the GraphRun
  std::vector<uint32_t> place;  // elements of the for_each around the node and of its own, outermost first
  uint64_t outer_elements = 0;  // those of the subgraphs around the node, mixed; 0 outside of subgraphs
  std::vector<weft::Value> inputs;  // by port; null: absent
  std::shared_ptr<const weft_parameters> parameters;

  std::vector<weft::Value> outputs;  // by port
  struct Parts {
    uint32_t count = 0;
    std::string bytes;               // of text-like parts
    std::vector<weft::Value> items;  // of list parts
    std::string type;
  };
  std::vector<Parts> parts;   // by port; empty until the first emit
  weft::Status status;        // valid once completed
  weft::Status breach;        // the first thing that the contract forbids
  bool began_files = false;   // output files that may need to be discarded
  uint64_t joined_bytes = 0;  // of parts that became outputs
  std::atomic<bool> completed{false};

  // Of the NodeQueue that has it.
  weft_request *previous = nullptr, *next = nullptr;  // in a RequestList
  void* server = nullptr;                             // the instance that works on it

  weft_request() = default;
  weft_request(weft_request&& other) noexcept;
  /// "node 'a'" or "node 'a', element 3".
  std::string describe() const;
  /// Who begins output files.
  weft::FileWriter writer() const { return {node, mixed_element()}; }
  /// A number for this element of this element of ...: equal for two attempts, different for two elements.
  uint64_t mixed_element() const { return outer_elements * 0x9e3779b97f4a7c15u + element + 1; }
  /// Forgets outputs, parts and status, for another attempt.
  void reset();
  /// Turns parts into the output of ports that have none. Errors: kOutOfMemory.
  weft::Status join_parts();
};

namespace weft {

/// Requests in a row, linked through themselves: nothing is allocated. A request is in one list at most.
class RequestList {
 public:
  bool empty() const { return first_ == nullptr; }
  size_t size() const { return size_; }
  weft_request* front() const { return first_; }
  void push_back(weft_request& request) {
    request.previous = last_;
    request.next = nullptr;
    (last_ ? last_->next : first_) = &request;
    last_ = &request;
    ++size_;
  }
  /// Precondition: not empty.
  weft_request* pop_front() {
    weft_request* request = first_;
    erase(*request);
    return request;
  }
  /// Precondition: it is in this list.
  void erase(weft_request& request) {
    (request.previous ? request.previous->next : first_) = request.next;
    (request.next ? request.next->previous : last_) = request.previous;
    request.previous = request.next = nullptr;
    --size_;
  }

 private:
  weft_request *first_ = nullptr, *last_ = nullptr;
  size_t size_ = 0;
};

const weft_request_api* request_api();
const weft_run_record_api* run_record_api();

/// Whether `value` keeps within `bound`. Errors: kOutOfRange with what was declared and what came.
Status check_bound(const Value& value, const weft_spec& bound);

}  // namespace weft
#endif
