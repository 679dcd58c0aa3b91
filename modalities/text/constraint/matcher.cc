#include <mutex>
#include <unordered_map>
#include <utility>

#include "modalities/text/constraint/automaton.h"
#include "modalities/text/constraint/constraint.h"
#include "modalities/text/constraint/program.h"

namespace weft {
namespace constraint {

// An automaton with the masks of its states, for one vocabulary; shared by matchers, used under the lock.
struct MaskCache {
  MaskCache(std::shared_ptr<const Grammar::Program> program, std::shared_ptr<const TokenTrie> vocabulary)
      : automaton(std::move(program)), trie(std::move(vocabulary)) {}

  std::shared_ptr<const TokenMask> mask(StateId state) {
    std::shared_ptr<const TokenMask>& known = masks[state];
    if (known == nullptr) {
      known = compute(state);
      mask_bytes += known->words().size_bytes();
    }
    return known;
  }

  std::mutex mutex;
  Automaton automaton;
  std::shared_ptr<const TokenTrie> trie;
  std::unordered_map<StateId, std::shared_ptr<const TokenMask>> masks;
  size_t mask_bytes = 0;

 private:
  // Walks the vocabulary in depth-first order; what cannot go on skips its subtree.
  std::shared_ptr<const TokenMask> compute(StateId state) {
    auto mask = std::make_shared<TokenMask>(trie->vocabulary_size());
    const std::span<const TokenTrie::Node> nodes = trie->nodes();
    const std::span<const int32_t> tokens = trie->tokens();
    std::vector<StateId> by_depth = {state};
    for (uint32_t i = 0; i + 1 < nodes.size();) {
      const TokenTrie::Node& node = nodes[i];
      const StateId next = automaton.advance(by_depth[node.depth - 1u], node.byte);
      if (next == Automaton::kDead) {
        i = node.subtree_end;
        continue;
      }
      if (by_depth.size() <= node.depth) by_depth.resize(node.depth + 1u);
      by_depth[node.depth] = next;
      for (uint32_t t = node.first_token; t < nodes[i + 1].first_token; ++t) mask->allow(tokens[t]);
      ++i;
    }
    if (automaton.accepts(state)) {
      for (const int32_t end : trie->ends()) mask->allow(end);
    }
    return mask;
  }
};

}  // namespace constraint

namespace {

using constraint::Automaton;
using constraint::MaskCache;
using constraint::StateId;

// When a cache has grown beyond this, its matchers move on to a new one.
constexpr size_t kMaxCacheBytes = size_t{96} << 20;

Status too_ambiguous() {
  return Status(StatusCode::kOutOfRange, "a grammar is too ambiguous to follow")
      .hint("let fewer alternatives begin with the same text");
}

// The cache that the grammar's other matchers over this vocabulary use, or a new one.
std::shared_ptr<MaskCache> shared_cache(const std::shared_ptr<const Grammar::Program>& program,
                                        const std::shared_ptr<const TokenTrie>& trie) {
  const std::lock_guard<std::mutex> lock(program->cache_mutex);
  std::shared_ptr<MaskCache> cache = program->cache.lock();
  if (cache == nullptr || cache->trie != trie) {
    cache = std::make_shared<MaskCache>(program, trie);
    program->cache = cache;
  }
  return cache;
}

}  // namespace

struct Matcher::State {
  Grammar grammar;
  std::shared_ptr<MaskCache> cache;
  StateId state = Automaton::kDead;
  enum class Phase : uint8_t { kOpen, kEnded } phase = Phase::kOpen;

  // To a new cache, with the state alone. Called under the lock of the old one, which `old` keeps alive.
  void renew(const std::shared_ptr<MaskCache>& old) {
    auto fresh = std::make_shared<MaskCache>(grammar.program(), old->trie);
    state = fresh->automaton.import(old->automaton, state);
    {
      const std::lock_guard<std::mutex> lock(grammar.program()->cache_mutex);
      grammar.program()->cache = fresh;
    }
    cache = std::move(fresh);
  }
};

Matcher::Matcher(Grammar grammar, std::shared_ptr<const TokenTrie> trie)
    : state_(std::make_unique<State>(State{std::move(grammar), nullptr})) {
  state_->cache = shared_cache(state_->grammar.program(), trie);
  const std::lock_guard<std::mutex> lock(state_->cache->mutex);
  state_->state = state_->cache->automaton.start();
}

Matcher::Matcher(const Matcher& other) : state_(std::make_unique<State>(*other.state_)) {}
Matcher& Matcher::operator=(const Matcher& other) {
  state_ = std::make_unique<State>(*other.state_);
  return *this;
}
Matcher::Matcher(Matcher&&) noexcept = default;
Matcher& Matcher::operator=(Matcher&&) noexcept = default;
Matcher::~Matcher() = default;

Result<std::shared_ptr<const TokenMask>> Matcher::allowed() {
  const std::shared_ptr<MaskCache> cache = state_->cache;
  const std::lock_guard<std::mutex> lock(cache->mutex);
  if (state_->phase == State::Phase::kEnded)
    return std::make_shared<const TokenMask>(cache->trie->vocabulary_size());
  std::shared_ptr<const TokenMask> mask = cache->mask(state_->state);
  if (cache->automaton.gave_up()) return too_ambiguous();
  if (cache->automaton.size_bytes() + cache->mask_bytes > kMaxCacheBytes) state_->renew(cache);
  if (mask->count() == 0) {
    return Status(StatusCode::kUnsupported, "no token of this vocabulary can continue the constrained text")
        .hint("the vocabulary lacks bytes that the grammar asks for");
  }
  return mask;
}

Status Matcher::accept(int32_t token) {
  const std::shared_ptr<MaskCache> cache = state_->cache;
  const std::lock_guard<std::mutex> lock(cache->mutex);
  const auto refused = [&] {
    return Status(StatusCode::kInvalidArgument, "the constraint does not allow this token")
        .got(std::to_string(token));
  };
  if (state_->phase == State::Phase::kEnded || token < 0 ||
      static_cast<size_t>(token) >= cache->trie->vocabulary_size()) {
    return refused();
  }
  Automaton& automaton = cache->automaton;
  if (cache->trie->is_end(token)) {
    if (!automaton.accepts(state_->state)) return refused();
    state_->phase = State::Phase::kEnded;
    return {};
  }
  const std::string_view bytes = cache->trie->bytes(token);
  StateId state = bytes.empty() ? Automaton::kDead : state_->state;
  for (const char byte : bytes) state = automaton.advance(state, static_cast<uint8_t>(byte));
  if (automaton.gave_up()) return too_ambiguous();
  if (state == Automaton::kDead) return refused();
  state_->state = state;
  return {};
}

bool Matcher::is_complete() const {
  const std::lock_guard<std::mutex> lock(state_->cache->mutex);
  return state_->phase == State::Phase::kEnded || state_->cache->automaton.accepts(state_->state);
}

bool Matcher::is_finished() const {
  const std::lock_guard<std::mutex> lock(state_->cache->mutex);
  return state_->phase == State::Phase::kEnded || state_->cache->automaton.is_final(state_->state);
}

Result<GrammarMatch> Grammar::match(std::string_view text) const {
  Automaton automaton(program_);
  StateId state = automaton.start();
  for (const char byte : text) {
    state = automaton.advance(state, static_cast<uint8_t>(byte));
    if (automaton.gave_up()) return too_ambiguous();
    if (state == Automaton::kDead) return GrammarMatch::kRejected;
  }
  if (automaton.gave_up()) return too_ambiguous();
  return automaton.accepts(state) ? GrammarMatch::kComplete : GrammarMatch::kPrefix;
}

}  // namespace weft
