//! Deciding what waits for a stream, as one batch.

use std::panic::{AssertUnwindSafe, catch_unwind};

use sortie_core::{
    Campaign, CatalogEvent, CatalogState, DeviceSlot, Event, Now, Output, StreamId, TargetIndex,
    Timestamp,
    campaign::{CampaignEvent, Input},
};
use sortie_ports::Append;

use super::{
    Node, NodeOutput, View,
    command::{Command, Done, NodeCommand, Refusal},
    load::claim_of,
    stream::{Batch, Body, Slot, Work},
};
use crate::text::panic_text;

impl Node {
    /// Looks at a stream: answers questions, decides what waits, and appends what comes of it.
    pub(super) fn process(&mut self, stream: StreamId) {
        let Some(mut slot) = self.streams.remove(&stream) else {
            return;
        };
        if slot.retry_at.is_some_and(|at| at <= self.now.monotonic)
            && matches!(slot.body, Body::Unloaded)
        {
            self.streams.insert(stream, slot);
            self.load(stream);
            return;
        }
        if matches!(slot.body, Body::Kept(_)) {
            self.answer_kept(stream, &mut slot);
            self.streams.insert(stream, slot);
            return;
        }
        if slot.batch.is_some() || !slot.owned {
            self.streams.insert(stream, slot);
            return;
        }
        let panicked = match &mut slot.body {
            Body::Catalog(_) => catch_unwind(AssertUnwindSafe(|| self.decide_catalog(&mut slot))),
            Body::Campaign(_) => {
                catch_unwind(AssertUnwindSafe(|| self.decide_campaign(stream, &mut slot)))
            }
            _ => Ok(()),
        };
        if slot.batch.is_some() {
            self.append(stream, &slot);
        }
        self.streams.insert(stream, slot);
        if let Err(panic) = panicked {
            // Whatever was half decided is dropped with the campaign; the log is whole.
            self.halt(
                stream,
                &format!("its decision panicked: {}", panic_text(&*panic)),
            );
        } else {
            self.unload_if_over(stream);
        }
    }

    fn decide_campaign(&mut self, stream: StreamId, slot: &mut Slot) {
        let Slot {
            body: Body::Campaign(campaign),
            ..
        } = slot
        else {
            return;
        };
        for query in std::mem::take(&mut slot.queries) {
            let trouble = slot.start.trouble();
            (query.ask)(Ok(View::new(campaign, self, trouble)));
        }
        let now = self.campaign_now(campaign.state());
        let mut batch = Batch {
            at: now.at,
            ..Batch::default()
        };
        let mut out = Output::default();
        let next = slot.inbox.next_to_speak(self.config.batch_events_max);
        campaign.look_ahead(next.filter_map(|device| self.target(stream, device)));
        for target in std::mem::take(&mut slot.changed) {
            let _ = campaign.handle(&self.fleet, Input::Device(target), now, &mut out);
        }
        while out.events.len() < self.config.batch_events_max
            && let Some(work) = slot.inbox.pop()
        {
            if let Work::Command(command) = &work {
                slot.deciding.push(command.ask);
            }
            let reply = self.decide_work(stream, campaign, &work, now, &mut out, &mut batch);
            batch.replies.extend(reply);
            batch.works.push(work);
            if campaign.slots().is_empty() {
                slot.order = self
                    .snapshot_decided(stream, campaign, now)
                    .unwrap_or(slot.order);
            }
        }
        if slot.inbox.is_empty() {
            // Not before all that was heard has been heard out: an answer may wait there.
            let _ = campaign.handle(&self.fleet, Input::Tick, now, &mut out);
        }
        // What is pushed while no request may leave yet would only wait, and count as unanswered.
        let more = self.recovered
            && campaign.pump(&self.fleet, now, &mut out, self.config.batch_events_max);
        let unconfirmed = std::mem::take(&mut out.unconfirmed);
        slot.deciding.clear();
        if more || !slot.inbox.is_empty() {
            self.dirty.insert((slot.order, stream));
        }
        if out.events.is_empty() {
            self.worked(stream, &batch.works);
            self.dropped_reports += batch.foreign;
            for (ask, answer) in batch.replies {
                self.reply(ask, answer);
            }
            self.ask_whether_exist(stream, slot, unconfirmed);
            self.ask_inventory(stream, slot, now);
            self.delete_upload(stream, slot);
            return;
        }
        let state = campaign.state();
        let mut touched: Vec<TargetIndex> = out
            .events
            .iter()
            .filter_map(CampaignEvent::target)
            .collect();
        touched.sort_unstable();
        touched.dedup();
        for index in touched {
            if let (Some(row), Some(device)) = (
                claim_of(stream, state, index, campaign.operation(index)),
                campaign.slots().get(index.index()),
            ) {
                self.claims
                    .change(&mut self.fleet, *device, row, &mut batch);
            }
        }
        out.registers.sort_unstable();
        out.registers.dedup();
        let registers = out.registers.iter();
        batch.registers = registers
            .filter_map(|index| campaign.slots().get(index.index()).copied())
            .collect();
        batch.events = out.events.into_iter().map(Event::Campaign).collect();
        slot.batch = Some(batch);
        self.ask_whether_exist(stream, slot, unconfirmed);
    }

    fn decide_work(
        &mut self,
        stream: StreamId,
        campaign: &mut Campaign,
        work: &Work,
        now: Now,
        out: &mut Output,
        batch: &mut Batch,
    ) -> Option<(u64, Result<Done, Refusal>)> {
        let target = |device: &DeviceSlot| self.target(stream, *device);
        let input = match work {
            Work::Command(command) => {
                if let NodeCommand::RequestManual(_, update, _) = &command.what
                    && campaign.state().manual().is_none()
                {
                    // For a new one the driver has asked the inventory.
                    let device = self.slot(&update.device);
                    self.exists(device);
                }
                let answer = self.decide_command(stream, campaign, command, now, out);
                if let Ok((_, true)) = &answer {
                    campaign.note_command(command.id);
                    batch.commands.push(command.recorded());
                }
                return Some((command.ask, answer.map(|(done, _)| done)));
            }
            Work::Report(device, report) => {
                let Some(target) = self.named(stream, campaign, *device, report) else {
                    batch.foreign += 1;
                    return None;
                };
                Input::Report(target, report)
            }
            Work::Progress(device, progress) => Input::Progress(target(device)?, *progress),
            Work::Refused(device, operation, why) => {
                Input::SendRefused(target(device)?, *operation, why)
            }
            Work::Raise(device, number) => Input::Raise(target(device)?, *number),
            Work::UploadDeleted => Input::UploadDeleted,
            Work::Removed(device, _, command) => {
                let before = out.events.len();
                let input = Input::DeviceRemoved(target(device)?);
                let _ = campaign.handle(&self.fleet, input, now, out);
                if let Some(command) = command
                    && out.events.len() > before
                {
                    campaign.note_command(command.id);
                    batch.commands.push(command.recorded());
                }
                return None;
            }
            Work::Resolved(asked, devices) => {
                let spec = campaign.state().spec()?;
                if (&asked.base_image, &asked.channel) != (&spec.base_image, &spec.channel) {
                    // It was edited meanwhile (L1): what was asked for is not what is to start.
                    return None;
                }
                let image = Box::new(asked.image.clone());
                Input::Snapshot {
                    image,
                    devices: devices.clone(),
                }
            }
        };
        // Only commands are refused.
        let _ = campaign.handle(&self.fleet, input, now, out);
        None
    }

    /// The target of a device in a campaign that is there.
    pub(super) fn target(&self, stream: StreamId, device: DeviceSlot) -> Option<TargetIndex> {
        let interests = self.interested.get(device.index())?;
        interests
            .iter()
            .find(|interest| interest.stream == stream)
            .map(|interest| interest.target)
    }

    fn decide_catalog(&mut self, slot: &mut Slot) {
        let Body::Catalog(catalog) = &mut slot.body else {
            return;
        };
        let mut batch = Batch {
            at: self.now.wall.max(catalog.last_at()),
            ..Batch::default()
        };
        let mut events: Vec<CatalogEvent> = vec![];
        while let Some(work) = slot.inbox.pop() {
            let command = matches!(work, Work::Command(_)) || !batch.commands.is_empty();
            if command && !events.is_empty() {
                // What it refers to must be durable first, and a command has a commit of its own (K1).
                slot.inbox.put_back(vec![work]);
                break;
            }
            if let Work::Command(command) = &work {
                slot.deciding.push(command.ask);
            }
            match &work {
                Work::Command(command) => match &command.what {
                    NodeCommand::Declare(draft) => {
                        let answer = declare(catalog, command, draft, batch.at);
                        let answer = answer.map(|(count, planned)| {
                            if !planned.is_empty() {
                                batch.commands.push(command.recorded());
                            }
                            events.extend(planned);
                            Done::Declared(count)
                        });
                        batch.replies.push((command.ask, answer));
                    }
                    NodeCommand::Delete(_)
                    | NodeCommand::DeviceRemoved(_)
                    | NodeCommand::RecordRemoval(_) => {
                        let Some(answer) = self.delete_or_remove(catalog, command, batch.at) else {
                            continue;
                        };
                        let answer = answer.map(|event| {
                            if event.is_some() {
                                batch.commands.push(command.recorded());
                            }
                            events.extend(event);
                            Done::Accepted
                        });
                        batch.replies.push((command.ask, answer));
                    }
                    NodeCommand::Create(_, draft) | NodeCommand::Edit(_, draft) => {
                        match draft.check(catalog) {
                            Err(invalid) if !self.is_answered(command) => {
                                self.refuse(command, Refusal::Invalid(invalid));
                            }
                            _ => self.checked(command.clone()),
                        }
                        continue;
                    }
                    NodeCommand::Manual(id, draft, model) => {
                        let image = draft.given_base_image();
                        let image = image.and_then(|image| catalog.image_copy(image));
                        match draft.validate(image) {
                            // Its own copy of the image tells what the answer is (K1, K2).
                            Err(_) if self.is_answered(command) => {
                                self.command_to(StreamId::Manual(*id), command.clone());
                            }
                            Err(invalid) => self.refuse(command, Refusal::Invalid(invalid)),
                            Ok(update) => {
                                let (update, model) = (Box::new(update), model.clone());
                                let mut command = command.clone();
                                command.what = NodeCommand::RequestManual(*id, update, model);
                                self.checked(command);
                            }
                        }
                        continue;
                    }
                    _ => {}
                },
                Work::Raise(device, number) => {
                    events.extend(self.claims.raise_free(
                        &self.fleet,
                        *device,
                        *number,
                        &mut batch,
                    ));
                    batch.registers.push(*device);
                }
                _ => {}
            }
            batch.works.push(work);
        }
        slot.deciding.clear();
        if events.is_empty() {
            for (ask, answer) in batch.replies {
                self.reply(ask, answer);
            }
            return;
        }
        batch.events = events.into_iter().map(Event::Catalog).collect();
        slot.batch = Some(batch);
    }

    /// Decides what leads to one event of the catalog, or to none if it was carried out before (K1).
    /// `None`: it waits.
    fn delete_or_remove(
        &mut self,
        catalog: &mut CatalogState,
        command: &Command,
        at: Timestamp,
    ) -> Option<Result<Option<CatalogEvent>, Refusal>> {
        if catalog.carried_out(command.id).is_some() {
            return Some(Ok(None));
        }
        let decided = match &command.what {
            NodeCommand::Delete(item) => self.delete(catalog, command, item)?,
            _ => Ok(self.record_removal(command)?),
        };
        Some(decided.map(|event| {
            catalog.apply(at, &event);
            catalog.note_command(command.id, 1);
            Some(event)
        }))
    }

    /// What these led to is durable.
    pub(super) fn worked(&mut self, stream: StreamId, works: &[Work]) {
        for work in works {
            if let Work::Removed(_, removal, _) = work {
                self.removal_recorded(*removal, stream);
            }
        }
    }

    /// L6: a finished campaign is unloaded once drained.
    pub(super) fn unload_if_over(&mut self, stream: StreamId) {
        let Some(slot) = self.streams.get_mut(&stream) else {
            return;
        };
        // What was refused in the last moment is a stream with nothing in it.
        let over = slot
            .settled_campaign()
            .is_some_and(|c| c.state().is_over() || c.state().mechanism().is_none());
        if over && slot.inbox.is_empty() && slot.queries.is_empty() {
            let body = std::mem::replace(&mut slot.body, Body::Unloaded);
            slot.changed.clear();
            if let Body::Campaign(campaign) = body {
                self.lose_interest(stream, &campaign);
            }
        }
    }

    pub(super) fn append(&mut self, stream: StreamId, slot: &Slot) {
        if let Some(batch) = &slot.batch {
            self.outputs.push_back(NodeOutput::Append(Append {
                stream,
                expected: slot.version,
                epoch: slot.epoch,
                at: batch.at,
                commands: batch.commands.clone(),
                events: batch.events.to_vec(),
                claims: batch
                    .claims
                    .iter()
                    .map(|(_, change)| change.clone())
                    .collect(),
            }));
        }
    }
}

/// Plans a declaration: how many events it leads to, or led to before (K1), and the events.
fn declare(
    catalog: &mut CatalogState,
    command: &Command,
    draft: &sortie_core::Catalog,
    at: Timestamp,
) -> Result<(usize, Vec<CatalogEvent>), Refusal> {
    if let Some(count) = catalog.carried_out(command.id) {
        return Ok((count, vec![]));
    }
    let planned = draft.plan(catalog).map_err(Refusal::Invalid)?;
    for event in &planned {
        catalog.apply(at, event);
    }
    if !planned.is_empty() {
        catalog.note_command(command.id, planned.len());
    }
    Ok((planned.len(), planned))
}

impl Node {
    /// Decides a command; the flag says whether it is to be recorded, having changed something.
    fn decide_command(
        &self,
        stream: StreamId,
        campaign: &mut Campaign,
        command: &Command,
        now: Now,
        out: &mut Output,
    ) -> Result<(Done, bool), Refusal> {
        let id = campaign.state().id();
        let done = match &command.what {
            NodeCommand::Create(..) => Done::Created(id),
            NodeCommand::RequestManual(id, ..) | NodeCommand::Manual(id, ..) => {
                Done::Requested(*id)
            }
            _ => Done::Accepted,
        };
        if campaign.state().has_command(command.id) {
            return Ok((done, false));
        }
        let decided = match &command.what {
            NodeCommand::Create(_, draft) => {
                let spec = draft.validate().map_err(Refusal::Invalid)?;
                sortie_core::Command::Create(Box::new(spec))
            }
            NodeCommand::Edit(_, draft) => {
                let spec = draft.validate().map_err(Refusal::Invalid)?;
                sortie_core::Command::Edit(Box::new(spec))
            }
            NodeCommand::CancelOperation(_, device) => {
                let slot = self.fleet.find(device);
                let target = slot.and_then(|slot| self.target(stream, slot));
                let target = target.ok_or_else(|| {
                    Refusal::NotFound(format!("target {device} in campaign {id}"))
                })?;
                sortie_core::Command::CancelOperation(target)
            }
            NodeCommand::Campaign(_, command) => command.clone(),
            NodeCommand::RequestManual(_, update, device_model) => {
                sortie_core::Command::RequestManual {
                    update: update.clone(),
                    device_model: device_model.clone(),
                }
            }
            NodeCommand::Manual(_, draft, device_model) => {
                let present = campaign.state().manual();
                let image = present.and_then(|present| present.source.base_image());
                let image = image.filter(|(id, _)| draft.given_base_image() == Some(*id));
                let update = draft.validate(image.map(|(_, image)| image.clone()));
                sortie_core::Command::RequestManual {
                    update: Box::new(update.map_err(Refusal::Invalid)?),
                    device_model: device_model.clone(),
                }
            }
            NodeCommand::CancelManual(_) => sortie_core::Command::Cancel,
            NodeCommand::Declare(_)
            | NodeCommand::Delete(_)
            | NodeCommand::DeviceRemoved(_)
            | NodeCommand::RecordRemoval(_) => return Ok((Done::Accepted, false)),
        };
        let before = out.events.len();
        campaign
            .handle(&self.fleet, Input::Command(decided), now, out)
            .map_err(Refusal::Refused)?;
        Ok((done, out.events.len() > before))
    }
}
