// StepBuilder: turns messages in a valid order into a StepProgram; finds out by itself what each must wait for.
#pragma once
#include <string>
#include <unordered_map>
#include <vector>

#include "sim/collectives/steps.h"

namespace pgram::sim {

/// A message waits for what brought the blocks that it sends, and for what still reads or writes the blocks that it
/// replaces; sums into the same block may come in any order. Beside that it comes after the one before it on its
/// connection.
class StepBuilder {
 public:
  StepBuilder(Collective, Algorithm, const GroupNodes&, const StepOptions&);

  uint32_t members() const { return program_.members; }
  StepProgram& program() { return program_; }
  /// Blocks and where they lie; before the first message.
  void set_blocks(uint32_t blocks);

  struct Range {
    uint32_t first = 0, count = 0;
  };
  /// `round` orders messages of all chunks and channels: by round, then chunk, then as they came. Messages of one round
  /// and connection are one message in several pieces.
  void copy(uint32_t round, uint32_t source, uint32_t target, Range blocks) {
    add(round, source, target, blocks, false);
  }
  void reduce(uint32_t round, uint32_t source, uint32_t target, Range blocks) {
    add(round, source, target, blocks, true);
  }
  /// From the array to the second one.
  void deliver(uint32_t round, uint32_t source, uint32_t target, uint32_t source_block, Range target_blocks);

  /// For what is added from now on.
  uint32_t channel = 0, chunk = 0;

  StepProgram finish();

 private:
  struct Message {
    uint32_t round = 0;
    Transfer transfer;
  };
  struct Block {
    uint32_t writers = kNoTransfer, readers = kNoTransfer;  ///< lists in `nodes_`
    bool summed = false;                                    ///< the writers' order does not matter
  };
  struct Node {
    uint32_t transfer = 0, next = kNoTransfer;
  };
  struct Connection {
    uint32_t round = ~0u, chunk = 0, last = kNoTransfer, before = kNoTransfer;
  };

  void add(uint32_t round, uint32_t source, uint32_t target, Range blocks, bool reduces);
  void add(uint32_t round, const Transfer&);
  void place(const Message&);
  Block& at(uint32_t where, uint32_t block) { return blocks_[size_t{where} * program_.blocks + block]; }
  void push(uint32_t& list, uint32_t transfer);
  void take_all(uint32_t list);
  /// Makes one predecessor of many writers, which many may wait for.
  void need_few_writers(uint32_t where, Block&);
  uint32_t commit(Transfer);

  StepProgram program_;
  std::vector<Message> messages_;
  std::vector<Block> blocks_;
  std::vector<Node> nodes_;
  std::unordered_map<uint64_t, Connection> connections_;
  std::vector<uint32_t> needed_;
};

}  // namespace pgram::sim
